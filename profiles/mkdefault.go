//go:build ignore

// Command mkdefault writes the default seccomp profiles of Docker, as
// github.com/moby/profiles/seccomp has it, and of Podman, as
// github.com/containers/common has it, and the versions they are from.
package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/moby/profiles/seccomp"
)

const (
	dockers = "github.com/moby/profiles/seccomp"
	podmans = "github.com/containers/common"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("mkdefault: ")
	flag.Parse()
	var docker bytes.Buffer
	enc := json.NewEncoder(&docker)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "\t")
	if err := enc.Encode(seccomp.DefaultProfile()); err != nil {
		log.Fatalf("write profile: %v", err)
	}
	dir, err := list(podmans, "{{.Dir}}")
	if err != nil {
		log.Fatal(err)
	}
	podman, err := os.ReadFile(filepath.Join(dir, "pkg/seccomp/seccomp.json"))
	if err != nil {
		log.Fatal(err)
	}
	for _, p := range []struct {
		out, module string
		profile     []byte
	}{{"docker-default", dockers, docker.Bytes()}, {"podman-default", podmans, podman}} {
		if err := write(p.out, p.module, p.profile); err != nil {
			log.Fatal(err)
		}
	}
}

func write(out, module string, profile []byte) error {
	version, err := list(module, "{{.Path}} {{.Version}}")
	if err != nil {
		return err
	}
	if err := os.WriteFile(out+".json", profile, 0o644); err != nil {
		return err
	}
	return os.WriteFile(out+".version", []byte(version+"\n"), 0o644)
}

func list(module, format string) (string, error) {
	out, err := exec.Command("go", "list", "-m", "-f", format, module).Output()
	if err != nil {
		return "", fmt.Errorf("find %s: %w", module, err)
	}
	return strings.TrimSpace(string(out)), nil
}
