package rootfs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"syscall"

	securejoin "github.com/cyphar/filepath-securejoin"
	"github.com/moby/sys/user"
)

// maxAccounts bounds etc/passwd and etc/group, in bytes.
const maxAccounts = 4 << 20

// User finds out which numbers an image's USER stands for: "" (root), a name or
// number, or user:group of either. Names are looked up in etc/passwd and
// etc/group of the root file system; their symlinks are followed inside it and
// never out of it. Numbers need no entry.
//
// additional are the groups etc/group lists the user in, in file order; none if
// the specification names a group. Errors name the specification.
func User(rootfsDir, spec string) (uid, gid uint32, additional []uint32, err error) {
	fail := func(err error) (uint32, uint32, []uint32, error) {
		return 0, 0, nil, fmt.Errorf("user %q: %w", spec, err)
	}
	passwd, err := accounts(rootfsDir, "etc/passwd")
	if err != nil {
		return fail(err)
	}
	group, err := accounts(rootfsDir, "etc/group")
	if err != nil {
		return fail(err)
	}
	found, err := user.GetExecUser(spec, nil, passwd, group)
	if err != nil {
		return fail(fmt.Errorf("%w; give a number from 0 to %d, as in 1000:1000", err, math.MaxInt32))
	}
	ids := make([]uint32, 0, 2+len(found.Sgids))
	for _, id := range append([]int{found.Uid, found.Gid}, found.Sgids...) {
		if id < 0 || id > math.MaxInt32 { // what user.GetExecUser takes as a number
			return fail(fmt.Errorf("etc/passwd or etc/group gives it the number %d; give one from 0 to %d", id, math.MaxInt32))
		}
		ids = append(ids, uint32(id))
	}
	return ids[0], ids[1], ids[2:], nil
}

// accounts reads a file of the root file system; there may be none.
func accounts(root, name string) (io.Reader, error) {
	path, err := securejoin.SecureJoin(root, name)
	if err != nil {
		return nil, fmt.Errorf("%s: %w; it cannot be found in the image: give a number", name, err)
	}
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return bytes.NewReader(nil), nil
	}
	if err == nil && (!info.Mode().IsRegular() || info.Size() > maxAccounts) {
		err = fmt.Errorf("not a regular file of at most %d bytes", maxAccounts)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w; repair it in the image", name, err)
	}
	// Judged before it is opened: opening a device may do something.
	data, err := readRegular(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w; repair it in the image", name, err)
	}
	return bytes.NewReader(data), nil
}

func readRegular(path string) ([]byte, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(io.LimitReader(file, maxAccounts))
}
