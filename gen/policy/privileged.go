package policy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/profgen/profgen/gen/evidence"
)

// Files that raise who runs them do not under no_new_privs, which every profile
// sets: execve(2) ignores set-user-ID and set-group-ID bits (bprm_fill_uid,
// fs/exec.c) and takes from what file capabilities permit all that the caller has
// not (cap_bprm_creds_from_file, security/commoncap.c). Before that, and whoever
// calls, it fails with EPERM if capabilities that are to be effective are not all
// in the bounding set (bprm_caps_from_vfs_caps, there; capabilities(7), "Safety
// checking for capability-dumb binaries").

// execNeeds returns the capabilities that the bounding set has to have for
// programs to be run at all that were seen to be run: each with the reason.
func (d *decider) execNeeds() map[string]string {
	need := map[string]string{}
	for _, f := range d.privileged() {
		if f.Effective && d.ran(f.Path) {
			for _, c := range f.Permitted {
				if !slices.Contains(d.policy.Run.ToExec, c) {
					d.policy.Run.ToExec = append(d.policy.Run.ToExec, c)
				}
				need[c] = fmt.Sprintf("%s has it as an effective file capability, and was run: execve fails with EPERM where it is not in the bounding set", f.Path)
			}
		}
	}
	slices.Sort(d.policy.Run.ToExec)
	return need
}

// decidePrivileged says what becomes of each file of the image that would raise
// who runs it, and warns of those that were run.
func (d *decider) decidePrivileged() {
	var idle []string
	for _, f := range d.privileged() {
		effect := d.effect(f)
		d.decide("privileges of "+f.Path.String(), false, "%s", effect)
		if d.ran(f.Path) {
			d.warn("privileged-program", "the workload runs %s: %s", f.Path, effect)
		} else {
			idle = append(idle, f.Path.String())
		}
	}
	if len(idle) > 0 {
		d.advise("privileged-files", "the image has files that raise who runs them, which was not seen to happen and is not possible under no-new-privileges: %s; the decisions say what becomes of each", listFew(idle))
	}
}

func (d *decider) privileged() []evidence.Privileged {
	var out []evidence.Privileged
	for _, f := range d.set.Facts {
		if f, ok := f.(evidence.Privileged); ok {
			out = append(out, f)
		}
	}
	return out
}

// ran reports whether the workload was seen to run the program.
func (d *decider) ran(program evidence.Path) bool {
	return slices.ContainsFunc(d.set.Facts, func(f evidence.Fact) bool {
		x, ok := f.(evidence.Executed)
		return ok && x.Path == program && x.Phase != evidence.Runtime && x.Basis != evidence.Reachable
	})
}

// effect is what running a privileged file comes to under the policy, in words.
func (d *decider) effect(f evidence.Privileged) string {
	var is, does []string
	if f.SetUID {
		is = append(is, "set-user-ID "+orRoot(f.UID))
		does = append(does, "runs as its caller")
	}
	if f.SetGID {
		is = append(is, "set-group-ID "+orRoot(f.GID))
		does = append(does, "runs with its caller's groups")
	}
	if len(f.Permitted) > 0 {
		flags := "p"
		if f.Effective {
			flags = "ep"
		}
		is = append(is, "a file with capabilities "+strings.Join(f.Permitted, " ")+"="+flags)
		does = append(does, "has no capability that its caller has not")
	}
	missing := slices.DeleteFunc(slices.Clone(f.Permitted), func(c string) bool { return slices.Contains(d.policy.Capabilities, c) })
	if f.Effective && len(missing) > 0 {
		return fmt.Sprintf("it is %s: execve fails with EPERM, since the bounding set has no %s", joinWords(is), strings.Join(missing, " "))
	}
	return fmt.Sprintf("it is %s: under no-new-privileges it %s, and fails at what takes more", joinWords(is), joinWords(does))
}

func orRoot(id uint32) string {
	if id == 0 {
		return "root"
	}
	return fmt.Sprint(id)
}
