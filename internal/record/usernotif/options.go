package usernotif

import "errors"

// Method names this way of recording, for [evidence.Source].
const Method = "seccomp user notification"

// ErrUnavailable says that this kernel cannot record by seccomp user notification.
// What is wrapped with it says why, and what to do.
var ErrUnavailable = errors.New("cannot record by seccomp user notification")
