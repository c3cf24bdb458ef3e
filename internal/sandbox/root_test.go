package sandbox

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// What a bundle mounts hides what is below in its root.
func TestBundleHas(t *testing.T) {
	bundle, data := t.TempDir(), t.TempDir()
	for _, name := range []string{"rootfs/etc/hosts", "rootfs/data/hidden", "rootfs/tmp/hidden"} {
		name = filepath.Join(bundle, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, nil, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	const config = `{"ociVersion": "1.0.2", "root": {"path": "rootfs"}, "process": {"args": ["true"], "cwd": "/"}, "mounts": [
		{"destination": "/data", "type": "bind", "source": %q}, {"destination": "/tmp", "type": "tmpfs"}]}`
	err := errors.Join(os.WriteFile(filepath.Join(data, "kept"), nil, 0o600),
		os.WriteFile(filepath.Join(bundle, "config.json"), fmt.Appendf(nil, config, data), 0o600))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{
		"/etc/hosts": true, "/etc/passwd": false, "/data/kept": true, "/data/hidden": false, "/tmp/hidden": false,
	} {
		if got := BundleHas(bundle, name); got != want {
			t.Errorf("%s: %t", name, got)
		}
	}
}
