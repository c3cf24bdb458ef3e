package seccomp

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// fileShape is the keys of all dialects together.
func fileShape() shape {
	condition := shape{"caps": nil, "arches": nil, "minKernel": nil}
	out := profileShape()
	out["defaultErrno"] = nil
	out["archMap"] = shape{"architecture": nil, "subArchitectures": nil}
	for _, key := range []string{"errno", "name"} {
		out["syscalls"][key] = nil
	}
	out["syscalls"]["includes"], out["syscalls"]["excludes"] = condition, condition
	return out
}

// keyCheck walks a JSON document, which may have keys that nobody knows.
type keyCheck struct {
	dec     *json.Decoder
	text    []byte
	unknown []UnknownKey
	rules   []int // the lines on which rules begin

	counted, lines int // newlines in text[:counted]
}

func (k *keyCheck) document() error {
	if c := bytes.TrimLeft(k.text, " \t\r\n"); len(c) == 0 || c[0] != '{' {
		return errors.New("not a JSON object")
	}
	err := k.value(fileShape(), 0, false)
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	if err != nil {
		return err
	}
	if _, err := k.dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("text after the profile")
	}
	return nil
}

// line is where the walk is.
func (k *keyCheck) line() int {
	at := min(int(k.dec.InputOffset()), len(k.text))
	k.lines += bytes.Count(k.text[k.counted:at], []byte("\n"))
	k.counted = at
	return k.lines + 1
}

func (k *keyCheck) value(s shape, depth int, rules bool) error {
	tok, err := k.dec.Token()
	if err != nil {
		return err
	}
	if depth > maxDepth {
		return errors.New("nested too deeply for a seccomp profile")
	}
	switch tok {
	case json.Delim('{'):
		if rules {
			k.rules = append(k.rules, k.line())
		}
		err = k.object(s, depth)
	case json.Delim('['):
		for err == nil && k.dec.More() {
			err = k.value(s, depth+1, rules)
		}
	default:
		return nil
	}
	if err == nil {
		_, err = k.dec.Token() // the closing delimiter
	}
	return err
}

func (k *keyCheck) object(s shape, depth int) error {
	seen := map[string]bool{}
	for k.dec.More() {
		tok, err := k.dec.Token()
		if err != nil {
			return err
		}
		key, _ := tok.(string)
		child, known := s[key]
		if seen[key] {
			return fmt.Errorf("line %d: key %q given twice", k.line(), key)
		}
		seen[key] = true
		if !known && s != nil {
			for other := range s {
				if strings.EqualFold(other, key) {
					return fmt.Errorf("line %d: key %q: want %q", k.line(), key, other)
				}
			}
			k.unknown = append(k.unknown, UnknownKey{key, k.line()})
		}
		if err := k.value(child, depth+1, depth == 0 && key == "syscalls"); err != nil {
			return err
		}
	}
	return nil
}
