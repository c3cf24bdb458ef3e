package inflate

// NewChunked is NewReader with chunks of another size: small files then have
// some.
func NewChunked(data []byte, chunk int) *Reader { return newReader(data, nil, chunk) }
