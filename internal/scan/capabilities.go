package scan

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/profgen/profgen/gen/evidence"
	"github.com/profgen/profgen/internal/abi"
)

// capabilities adds the capabilities that the system calls of all programs may
// need, with the arguments that are known; or the proof that none can be used.
func (s *scan) capabilities(set *evidence.Set) {
	if proof := s.powerless(); proof != "" {
		set.Witnesses = append(set.Witnesses, evidence.Witness{
			Capability: evidence.AnyCapability, Arch: s.done[0].arch(), Basis: evidence.Reachable, Reason: proof,
		})
		return
	}
	for _, f := range slices.Clone(set.Facts) {
		f, ok := f.(evidence.Syscall)
		if !ok {
			continue
		}
		args := abi.Args{} // of this call alone: they go together
		for _, a := range f.Args {
			args[a.Index] = []uint64{a.Value}
		}
		for _, n := range abi.MayNeed(f.Name, args) {
			if n.When != abi.Rare {
				set.Facts = append(set.Facts, evidence.Capability{Cap: n.Cap, Arch: f.Arch, Syscall: f.Name, Phase: evidence.Start, Basis: evidence.Reachable})
			}
		}
	}
}

// powerless is why no process of the image can ever hold a capability; "" if
// one may. A process that begins without capabilities, and with other IDs than
// root's, gets some only by exec of a file that raises it: capabilities(7),
// "Transformation of capabilities during execve()".
func (s *scan) powerless() string {
	if len(s.opt.Binaries) > 0 || s.opt.Privileged == nil {
		return ""
	}
	uid, ok := s.uid()
	if !ok || uid == 0 || len(s.opt.Privileged) > 0 {
		return ""
	}
	return fmt.Sprintf("USER %s is user %d, and no file of the image has a set-user-ID or set-group-ID bit or file capabilities", s.opt.Config.User, uid)
}

// uid is the user ID that the image's processes begin with; false if the image
// does not tell.
func (s *scan) uid() (int, bool) {
	user, _, _ := strings.Cut(s.opt.Config.User, ":")
	if user == "" {
		return 0, true
	}
	passwd, err := s.opt.Files.Contents("etc/passwd")
	if err == nil {
		for line := range strings.Lines(string(passwd)) {
			f := strings.Split(strings.TrimSpace(line), ":")
			if len(f) >= 3 && f[0] == user {
				n, err := strconv.Atoi(f[2])
				return n, err == nil
			}
		}
	}
	n, err := strconv.Atoi(user)
	return n, err == nil && n >= 0
}
