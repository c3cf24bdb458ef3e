package program

import (
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

type memory struct{ fstest.MapFS }

func (m memory) Resolve(name string) (string, error) {
	if _, err := fs.Stat(m.MapFS, name); err != nil {
		return "", err
	}
	return name, nil
}

func (m memory) Contents(name string) ([]byte, error) { return fs.ReadFile(m.MapFS, name) }

// FuzzStart: whatever the scripts and the configuration of an image hold, the
// search for programs ends in good time, and says something: a program, a gap,
// text for an interpreter, or an error.
func FuzzStart(f *testing.F) {
	f.Add("#!/bin/sh\nset -e\nif [ \"$1\" = x ]; then set -- prog \"$@\"; fi\nexec \"$@\"\n", "/entry", "x", "A=b")
	f.Add("#!/usr/bin/env -S bash -c\nfor i in a b; do A=\"$A$i\"; eval \"$A\"; done; . /other; f() { f \"$@\" x; }; f\n", "sh", "-c", "A=$A$A")
	f.Add("case $1 in *) exec gosu user tini -- env -i A=b nice -n 5 \"${@:-prog}\" ;; esac <<X\n$(prog)\nX\n", "timeout", "5", "PATH=/:.")
	f.Fuzz(func(t *testing.T, script, entry, cmd, env string) {
		text := &fstest.MapFile{Data: []byte(script), Mode: 0o755}
		elf := &fstest.MapFile{Data: []byte("\x7fELF\x02\x01\x01" + strings.Repeat("\x00", 57)), Mode: 0o755}
		files := memory{fstest.MapFS{"entry": text, "other": text, "bin/ash": text, "bin/sh": elf, "bin/bash": elf, "usr/bin/env": elf, "bin/prog": elf, "bin/busybox": elf, "usr/sbin/gosu": elf, "bin/tini": elf}}
		start := time.Now()
		p := New(files, Config{Entrypoint: []string{"/entry", entry}, Cmd: []string{cmd}, Env: []string{env, "PATH=/bin:/usr/bin"}, Shell: []string{cmd, entry}})
		err := p.Start()
		if took := time.Since(start); took > 20*time.Second {
			t.Errorf("took %v", took)
		}
		if r := p.Result(); err == nil && len(r.Programs) == 0 && len(r.Gaps) == 0 && len(r.Interpreters) == 0 {
			t.Errorf("no error, and nothing found")
		}
	})
}

// A shell that is itself a file for the shell ends nothing but the search.
func TestShellWithoutInterpreter(t *testing.T) {
	text := &fstest.MapFile{Data: []byte("exec prog\n"), Mode: 0o755}
	start := &fstest.MapFile{Data: []byte("#!/bin/bash\n/bin/sh -c x\n"), Mode: 0o755}
	bash := &fstest.MapFile{Data: []byte("\x7fELF\x02\x01\x01" + strings.Repeat("\x00", 57)), Mode: 0o755}
	p := New(memory{fstest.MapFS{"bin/sh": text, "bin/bash": bash, "start": start}}, Config{Entrypoint: []string{"/start"}})
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	if len(p.Result().Gaps) == 0 {
		t.Error("no gap for a shell that cannot run")
	}
}
