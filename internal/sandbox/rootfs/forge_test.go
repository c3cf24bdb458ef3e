package rootfs_test

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/profgen/profgen/internal/image/imagetest"
)

// changeLargest changes a layout's largest blob, its layer, and no digest.
func changeLargest(t *testing.T, layout string, change func([]byte)) {
	t.Helper()
	var largest string
	var size int64
	err := filepath.WalkDir(filepath.Join(layout, "blobs"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Size() > size {
			largest, size = path, info.Size()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(largest)
	if err != nil {
		t.Fatal(err)
	}
	change(data)
	if err := os.WriteFile(largest, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// bomb makes data the only layer of a layout and makes the manifest name it.
func bomb(t *testing.T, layout string, data []byte) {
	t.Helper()
	var index, manifest map[string]any
	readJSON(t, filepath.Join(layout, "index.json"), &index)
	entry := index["manifests"].([]any)[0].(map[string]any)
	readJSON(t, blob(layout, entry["digest"].(string)), &manifest)
	manifest["layers"] = []any{store(t, layout, data)}
	text, _ := json.Marshal(manifest)
	index["manifests"] = []any{store(t, layout, text)}
	text, _ = json.Marshal(index)
	if err := os.WriteFile(filepath.Join(layout, "index.json"), text, 0o600); err != nil {
		t.Fatal(err)
	}
}

func blob(layout, digest string) string {
	return filepath.Join(layout, "blobs", "sha256", digest[len("sha256:"):])
}

func store(t *testing.T, layout string, data []byte) map[string]any {
	t.Helper()
	digest := fmt.Sprintf("sha256:%x", sha256.Sum256(data))
	if err := os.WriteFile(blob(layout, digest), data, 0o600); err != nil {
		t.Fatal(err)
	}
	return map[string]any{"digest": digest, "size": len(data)}
}

func readJSON(t *testing.T, file string, into any) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, into); err != nil {
		t.Fatal(err)
	}
}

// big is a file of which only the header is there.
func big(name string, size int64) imagetest.Entry {
	return imagetest.Entry{Header: tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: size}}
}

// sparse is a PAX 1.0 sparse file of size bytes, all of them a hole. archive/tar
// reads but does not write these: the header is renamed to what it reads.
func sparse(t *testing.T, name string, size int64) []byte {
	t.Helper()
	hole := fmt.Sprintf("1\n%d\n0\n", size)
	data := imagetest.Tar(t, imagetest.Entry{Header: tar.Header{
		Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: 512, Format: tar.FormatPAX,
		PAXRecords: map[string]string{"GNU_sparse_major": "1", "GNU_sparse_minor": "0", "GNU_sparse_realsize": fmt.Sprint(size), "GNU_sparse_name": name},
	}, Body: hole + strings.Repeat("\x00", 512-len(hole))})
	return bytes.ReplaceAll(data, []byte("GNU_sparse_"), []byte("GNU.sparse."))
}

// oldSparse is the same in GNU tar's old format: the map is in the header.
func oldSparse(t *testing.T, name string, size int64) []byte {
	t.Helper()
	data := imagetest.Tar(t, imagetest.Entry{Header: tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Format: tar.FormatGNU}})
	header := data[:512]
	header[156] = tar.TypeGNUSparse
	copy(header[386:], fmt.Sprintf("%011o\x00%011o\x00", size, 0)) // one piece, at the end, empty
	copy(header[483:], fmt.Sprintf("%011o\x00", size))
	copy(header[148:], "        ") // the checksum counts as blanks in itself
	sum := 0
	for _, b := range header {
		sum += int(b)
	}
	copy(header[148:], fmt.Sprintf("%06o\x00 ", sum))
	return data
}
