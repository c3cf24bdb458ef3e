// Package rootfs makes the root file system a container runs in: it unpacks the
// layers of an image, or copies a folder, into a private folder, and finds out
// which numbers the image's user name stands for.
//
// An image is hostile until shown otherwise. Invariants:
//   - Nothing is written, linked, changed or removed outside the folder.
//   - Each layer is read to its end, verified and judged by its tar headers
//     before the first of its entries is unpacked; entries are judged again as
//     they are unpacked, so that a source that changes in between gains nothing.
//   - After an error or a cancellation the folder is empty.
//   - A folder that is copied is only read.
//
// What an image may hold: files, folders, hard and symbolic links, named pipes,
// device nodes, setuid bits, file capabilities. They are made as they are, which
// is why the folder has to lie in one that only its owner can enter: its device
// nodes and setuid programs work on the host too. Absolute names and link
// targets, and symlinks that point anywhere, are read from the top of the root
// file system, as in the container. Security labels (security.selinux) are not
// copied.
//
// Without root, owners cannot be kept (everything belongs to the caller), device
// nodes become empty files, and file capabilities get lost: a recording of a
// program that needs these does not show what it does in production. A folder is
// copied only if its files can be read.
package rootfs
