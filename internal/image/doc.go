// Package image opens a container image where it lies and hands out its
// configuration and its layers, verified.
//
// In goes a reference a user typed: an OCI layout folder, an archive of one, an
// archive in docker-save form, a root file system folder, or the name of an
// image in a registry. Out comes an [Image]: configuration, digests, and layers
// as uncompressed tar streams. No container engine is asked.
//
// Invariants:
//   - Nothing an image says names a file of the host. Archives are read through
//     an index of offsets, layouts through [os.Root]; a path in a tar is only a
//     key to look up. Layers are streamed, never extracted.
//   - Every manifest and configuration is compared with its digest before it is
//     used. A layer stream ends in an error, not in [io.EOF], unless both its
//     stored and its uncompressed bytes had the digests the image gives; a reader
//     that must not act on forged bytes reads to the end once before it acts.
//   - Memory is bounded whatever the bytes say (a gzip layer is held as it is
//     stored while it is read, if it is not larger than 160 MiB), and so is disk
//     space: a compressed archive and pulled layers pass through nameless temporary files (in
//     $TMPDIR) that vanish with the process or with [Image.Close].
//
// What it does not see: signatures and attestations. A digest proves that bytes
// belong together, not who made them. A docker-save archive carries no manifest
// digest, a folder no digest at all: those come back as "".
package image
