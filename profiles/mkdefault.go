//go:build ignore

// Command mkdefault writes Docker's default seccomp profile, as
// github.com/moby/profiles/seccomp has it, and the version it is from.
package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"

	"github.com/moby/profiles/seccomp"
)

const module = "github.com/moby/profiles/seccomp"

func main() {
	log.SetFlags(0)
	log.SetPrefix("mkdefault: ")
	out := flag.String("o", "docker-default", "files to write, less .json and .version")
	flag.Parse()
	if err := run(*out); err != nil {
		log.Fatal(err)
	}
}

func run(out string) error {
	version, err := exec.Command("go", "list", "-m", "-f", "{{.Path}} {{.Version}}", module).Output()
	if err != nil {
		return fmt.Errorf("find %s: %w", module, err)
	}
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "\t")
	if err := enc.Encode(seccomp.DefaultProfile()); err != nil {
		return fmt.Errorf("write profile: %w", err)
	}
	if err := os.WriteFile(out+".json", buf.Bytes(), 0o644); err != nil {
		return err
	}
	return os.WriteFile(out+".version", version, 0o644)
}
