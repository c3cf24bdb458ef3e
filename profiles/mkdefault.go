//go:build ignore

// Command mkdefault writes the default seccomp profiles of Docker, as
// github.com/moby/profiles/seccomp has it, and of Podman, as
// github.com/containers/common has it, Docker's default AppArmor profile, as
// github.com/moby/profiles/apparmor makes it, and the versions they are from.
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

	"github.com/moby/profiles/apparmor"
	"github.com/moby/profiles/seccomp"
)

const (
	dockers  = "github.com/moby/profiles/seccomp"
	podmans  = "github.com/containers/common"
	armorers = "github.com/moby/profiles/apparmor"
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
	armor, err := armorDefault()
	if err != nil {
		log.Fatal(err)
	}
	for _, p := range []struct {
		out, suffix, module string
		profile             []byte
	}{{"docker-default", ".json", dockers, docker.Bytes()}, {"podman-default", ".json", podmans, podman}, {"docker-default-apparmor", "", armorers, armor}} {
		if err := write(p.out, p.suffix, p.module, p.profile); err != nil {
			log.Fatal(err)
		}
	}
}

// armorDefault is the profile that Docker loads: the module gives it to nobody but
// apparmor_parser, whose place a program takes that copies it. What it is on a host
// that has none of AppArmor's own files needs no others to be read.
func armorDefault() ([]byte, error) {
	dir, err := os.MkdirTemp("", "mkdefault")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	if err := os.WriteFile(filepath.Join(dir, "apparmor_parser"), []byte("#!/bin/sh\nexec /bin/cp \"$2\" \"${0%/*}/profile\"\n"), 0o755); err != nil {
		return nil, err
	}
	path := os.Getenv("PATH")
	os.Setenv("PATH", dir+":"+path)
	defer os.Setenv("PATH", path)
	if err := apparmor.InstallDefault("docker-default"); err != nil {
		return nil, err
	}
	text, err := os.ReadFile(filepath.Join(dir, "profile"))
	text = bytes.ReplaceAll(text, []byte("#include <tunables/global>"), []byte("@{PROC}=/proc/"))
	return bytes.ReplaceAll(text, []byte("  #include <abstractions/base>\n"), nil), err
}

func write(out, suffix, module string, profile []byte) error {
	version, err := list(module, "{{.Path}} {{.Version}}")
	if err != nil {
		return err
	}
	if err := os.WriteFile(out+suffix, profile, 0o644); err != nil {
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
