// Package cache keeps what a scan found out for the next one.
//
// In go a key, which must say everything that the result depends on, and bytes;
// out come the same bytes for the same key, or nothing. It may forget anything at
// any time. What it must never do is give back other bytes than were put in:
//
//   - An entry holds its key and a SHA-256 digest of all it holds. One that was
//     cut short, changed, or written for another key is not there, and the next
//     Put of its key replaces it.
//   - An entry appears by a rename, so that several processes may use one folder
//     without locks.
//   - The folder and the entries belong to the user and nobody else may write
//     them; symlinks are not followed. A folder that others could have written to
//     is refused: whoever can write entries can say what a scan finds.
//
// Keys begin with the version of the analysis ([Version]), so that what another
// build of profgen found out is of no use to this one.
package cache

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// maxEntry bounds one entry, and DefaultSize all of them together, in bytes.
	maxEntry    = 64 << 20
	DefaultSize = 512 << 20
	// forgotten is how old what a process that was killed left behind must be.
	forgotten = time.Hour
)

// Cache is a folder of entries. A nil Cache has none, and keeps none.
type Cache struct {
	root    *os.Root
	size    int64
	version string
}

// Dir is the folder that profgen uses for this user: in [os.UserCacheDir].
func Dir() (string, error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, "profgen"), nil
}

// Open opens the cache in a folder, which it makes if it is missing, for results
// of one version of the analysis. size bounds its bytes.
func Open(dir, version string, size int64) (*Cache, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if info, err := os.Lstat(dir); err != nil || !info.IsDir() {
		return nil, errors.Join(err, fmt.Errorf("%s: not a folder", dir))
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	info, err := root.Stat(".")
	if err == nil {
		err = private(info)
	}
	if err != nil {
		root.Close()
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	return &Cache{root, size, version}, nil
}

// private reports, as an error, whether somebody else could have written a file.
func private(info fs.FileInfo) error {
	owner := uint32(0)
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		owner = s.Uid
	}
	switch {
	case owner != uint32(os.Geteuid()):
		return fmt.Errorf("belongs to user %d", owner)
	case info.Mode().Perm()&0o022 != 0:
		return errors.New("others may write to it")
	}
	return nil
}

// Close gives the folder back.
func (c *Cache) Close() error {
	if c == nil {
		return nil
	}
	return c.root.Close()
}

// name is the file of a key.
func (c *Cache) name(key string) string {
	sum := sha256.Sum256([]byte(c.version + "\x00" + key))
	return hex.EncodeToString(sum[:])
}

// Get returns what was put in for a key; false if there is nothing.
func (c *Cache) Get(key string) ([]byte, bool) {
	if c == nil {
		return nil, false
	}
	name := c.name(key)
	data, err := c.read(name)
	if err != nil {
		return nil, false
	}
	value, ok := decode(data, c.version+"\x00"+key)
	if ok {
		now := time.Now()
		c.root.Chtimes(name, now, now) // the oldest are forgotten first; an entry may be gone by now
	}
	return value, ok
}

func (c *Cache) read(name string) ([]byte, error) {
	f, err := c.root.OpenFile(name, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if err := private(info); err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxEntry {
		return nil, errors.New("no entry")
	}
	data := make([]byte, info.Size())
	n, err := f.ReadAt(data, 0)
	return data[:n], err
}

// Put keeps a value for a key. That it could not be kept is nobody's error but
// worth telling whoever asked for a cache.
func (c *Cache) Put(key string, value []byte) error {
	if c == nil || len(value) > maxEntry/2 || int64(len(value)) > c.size/4 {
		return nil
	}
	data := encode(c.version+"\x00"+key, value)
	if err := c.evict(int64(len(data))); err != nil {
		return fmt.Errorf("cache: %w", err)
	}
	if err := c.write(c.name(key), data); err != nil {
		return fmt.Errorf("cache: %w", err)
	}
	return nil
}

// unfinished begins the names of entries that are being written.
const unfinished = "new-"

func (c *Cache) write(name string, data []byte) error {
	fresh := unfinished + rand.Text()
	f, err := c.root.OpenFile(fresh, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Close()); err == nil {
		err = c.root.Rename(fresh, name)
	}
	if err != nil {
		c.root.Remove(fresh)
	}
	return err
}

// evict makes room for so many bytes: what was not used for longest goes first.
func (c *Cache) evict(room int64) error {
	dir, err := c.root.Open(".")
	if err != nil {
		return err
	}
	defer dir.Close()
	list, err := dir.ReadDir(-1)
	if err != nil {
		return err
	}
	var all []fs.FileInfo
	total := room
	for _, e := range list {
		info, err := e.Info()
		if err != nil {
			continue // another process was faster
		}
		if strings.HasPrefix(e.Name(), unfinished) && time.Since(info.ModTime()) > forgotten {
			c.root.Remove(e.Name())
			continue
		}
		all, total = append(all, info), total+info.Size()
	}
	slices.SortFunc(all, func(a, b fs.FileInfo) int { return a.ModTime().Compare(b.ModTime()) })
	for _, info := range all {
		if total <= c.size {
			break
		}
		if err := c.root.Remove(info.Name()); err == nil || errors.Is(err, fs.ErrNotExist) {
			total -= info.Size()
		}
	}
	return nil
}

// magic begins every entry; its last byte is the version of the form: magic, the
// lengths of key and value, key, value, SHA-256 of all before.
const magic = "profgen\x01"

const headLen = len(magic) + 8

func encode(key string, value []byte) []byte {
	out := make([]byte, 0, headLen+len(key)+len(value)+sha256.Size)
	out = append(out, magic...)
	out = binary.LittleEndian.AppendUint32(out, uint32(len(key)))
	out = binary.LittleEndian.AppendUint32(out, uint32(len(value)))
	out = append(append(out, key...), value...)
	sum := sha256.Sum256(out)
	return append(out, sum[:]...)
}

// decode returns the value of an entry, which shares its memory; false if it is
// no entry of the key, whole and unchanged.
func decode(data []byte, key string) ([]byte, bool) {
	if len(data) < headLen+sha256.Size || string(data[:len(magic)]) != magic {
		return nil, false
	}
	keyLen := uint64(binary.LittleEndian.Uint32(data[len(magic):]))
	valueLen := uint64(binary.LittleEndian.Uint32(data[len(magic)+4:]))
	body := data[:len(data)-sha256.Size]
	if uint64(len(body)) != uint64(headLen)+keyLen+valueLen {
		return nil, false
	}
	sum := sha256.Sum256(body)
	if !bytes.Equal(sum[:], data[len(body):]) || string(body[headLen:uint64(headLen)+keyLen]) != key {
		return nil, false
	}
	return body[uint64(headLen)+keyLen:], true
}
