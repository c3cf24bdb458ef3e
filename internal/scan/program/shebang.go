package program

import "bytes"

// Limits of the kernel: BINPRM_BUF_SIZE of include/uapi/linux/binfmts.h, of
// which the last byte ends the string, and the depth in exec_binprm of
// fs/exec.c: the fifth script is still run, the sixth is ELOOP.
const (
	binprmBufSize = 256
	maxRewrites   = 5
)

// shebang is the first line of a script.
type shebang struct {
	interp string
	arg    string // all that follows, as one argument; "" is none
}

// parseShebang reads the first line as load_script of fs/binfmt_script.c does;
// false if the kernel would not run the file as a script.
func parseShebang(head []byte) (shebang, bool) {
	line, ok := bytes.CutPrefix(head[:min(len(head), binprmBufSize-1)], []byte("#!"))
	if !ok {
		return shebang{}, false
	}
	line, _, whole := bytes.Cut(line, []byte("\n"))
	whole = whole || len(head) < binprmBufSize
	line = bytes.TrimLeft(line, " \t")
	end := bytes.IndexAny(line, " \t\x00")
	if end < 0 {
		// A name that may go on is not run.
		return shebang{interp: string(line)}, whole && len(line) > 0
	}
	interp := line[:end]
	rest, _, _ := bytes.Cut(line[end:], []byte{0})
	return shebang{string(interp), string(bytes.Trim(rest, " \t"))}, len(interp) > 0
}
