package cache

import (
	"bytes"
	"testing"
)

// FuzzDecode: whatever a file holds, what is decoded is what some encode of the
// same key made.
func FuzzDecode(f *testing.F) {
	f.Add(encode("key", []byte("value")), "key")
	f.Add(encode("", nil), "")
	f.Add([]byte(magic), "key")
	f.Fuzz(func(t *testing.T, data []byte, key string) {
		value, ok := decode(data, key)
		if ok && !bytes.Equal(encode(key, value), data) {
			t.Errorf("decoded what was never encoded: %q", data)
		}
		if value, ok := decode(encode(key, data), key); !ok || !bytes.Equal(value, data) {
			t.Errorf("%q became %q, %t", data, value, ok)
		}
	})
}
