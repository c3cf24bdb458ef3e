// Package scmp is libseccomp, and profgen's only use of cgo: it compiles a
// profile to the filter program that a runtime would load, and resolves names
// as the installed library does.
//
// It answers for the library it is linked with, not for the one a runtime
// elsewhere has, and it loads no filter. Built without cgo it is a stub that
// answers [ErrUnavailable].
package scmp

import "errors"

// ErrUnavailable says that this build has no libseccomp.
var ErrUnavailable = errors.New("built without libseccomp: want a build with CGO_ENABLED=1 and libseccomp's headers")
