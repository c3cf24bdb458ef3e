package seccomp

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
)

// ErrDialect says that a profile is in Docker's or Podman's dialect, whose
// rules depend on the host and on the container's capabilities.
var ErrDialect = errors.New("belongs to the dialect of Docker or Podman, which is not read yet: want the plain OCI form")

// shape is the keys that a JSON object may have, and the shape of what they
// hold; nil is a value without keys. An array has the shape of its elements.
type shape map[string]shape

func profileShape() shape {
	return shape{
		"defaultAction": nil, "defaultErrnoRet": nil, "architectures": nil, "flags": nil,
		"listenerPath": nil, "listenerMetadata": nil,
		"syscalls": {
			"names": nil, "action": nil, "errnoRet": nil, "comment": nil,
			"args": {"index": nil, "value": nil, "valueTwo": nil, "op": nil},
		},
	}
}

// dialect lists keys that Docker (github.com/moby/profiles/seccomp) and Podman
// (github.com/containers/common/pkg/seccomp) add to the specification's.
func dialect() []string {
	return []string{"archMap", "defaultErrno", "errno", "excludes", "includes", "minKernel", "name"}
}

// maxDepth is above the nesting of any profile: object, array, object, array,
// object.
const maxDepth = 8

// checkKeys refuses what encoding/json overlooks: unknown keys, keys in
// another case, keys given twice, and text after the value.
func checkKeys(b []byte) error {
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	if c := bytes.TrimLeft(b, " \t\r\n"); len(c) == 0 || c[0] != '{' {
		return errors.New("not a JSON object")
	}
	if err := profileShape().check(dec, 0); err != nil {
		if errors.Is(err, io.EOF) {
			return io.ErrUnexpectedEOF
		}
		return err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("text after the profile")
	}
	return nil
}

// check reads one value from dec.
func (s shape) check(dec *json.Decoder, depth int) error {
	tok, err := dec.Token()
	if err != nil {
		return err
	}
	if depth > maxDepth {
		return errors.New("nested too deeply for a seccomp profile")
	}
	switch tok {
	case json.Delim('{'):
		err = s.checkObject(dec, depth)
	case json.Delim('['):
		for err == nil && dec.More() {
			err = s.check(dec, depth+1)
		}
	default:
		return nil
	}
	if err != nil {
		return err
	}
	_, err = dec.Token() // the closing delimiter
	return err
}

func (s shape) checkObject(dec *json.Decoder, depth int) error {
	seen := map[string]bool{}
	for dec.More() {
		tok, err := dec.Token()
		if err != nil {
			return err
		}
		key, _ := tok.(string) // a key is a string, or Token fails
		child, ok := s[key]
		switch {
		case slices.Contains(dialect(), key):
			return fmt.Errorf("key %q %w", key, ErrDialect)
		case !ok:
			return fmt.Errorf("unknown key %q", key)
		case seen[key]:
			return fmt.Errorf("key %q given twice", key)
		}
		seen[key] = true
		if err := child.check(dec, depth+1); err != nil {
			return err
		}
	}
	return nil
}
