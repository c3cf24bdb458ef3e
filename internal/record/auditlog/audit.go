package auditlog

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/profgen/profgen/gen/evidence"
	"github.com/profgen/profgen/internal/abi"
)

// auditReader reads audit records, one a line, among whatever else a kernel log
// or a journal has:
//
//	type=SECCOMP msg=audit(1795602657.500:130): auid=… comm="true" …       auditd
//	[  7.8] audit: type=1326 audit(1795602655.524:77): auid=… comm="true"   the kernel's own log
type auditReader struct {
	*collector
	profiles map[string]bool // of AppArmor records that were taken
	seccomp  bool            // there were records of seccomp
	sockets  bool            // seccomp records of calls that make sockets
	learning bool            // AppArmor records under a profile that the kernel made
	networks bool            // AppArmor records of sockets
	live     *Recorder       // nil: a log that is read afterwards
}

func (r *auditReader) method() string { return AuditMethod }

// isAudit reports whether a line has an audit record.
func isAudit(line []byte) bool {
	return bytes.Contains(line, []byte("audit(")) && bytes.Contains(line, []byte("type="))
}

// notices are what the kernel, auditd and journald say when they lose messages.
// The first group, if there is one, counts them.
var notices = []*regexp.Regexp{
	regexp.MustCompile(`audit: audit_lost=(\d+) `),
	regexp.MustCompile(`audit: (?:backlog|rate) limit exceeded`),
	regexp.MustCompile(`audit: kauditd hold queue overflow`),
	regexp.MustCompile(`audit_printk_skb: (\d+) callbacks suppressed`),
	regexp.MustCompile(`type=\S+ .*\baudit_(?:enabled|backlog_limit|rate_limit|failure)=\d+ .*\blost=(\d+)`),
	regexp.MustCompile(`systemd-journald\[\d+\]: Missed (\d+) kernel messages`),
	regexp.MustCompile(`Suppressed (\d+) messages from`),
	regexp.MustCompile(`printk: (\d+) messages (?:dropped|suppressed)`),
	regexp.MustCompile(`kauditd_printk_skb: (\d+) callbacks suppressed`),
}

func isNotice(line []byte) bool {
	return slices.ContainsFunc(notices, func(n *regexp.Regexp) bool { return n.Match(line) })
}

// lost notes that messages were lost, if line says so.
func (r *auditReader) lost(line []byte) bool {
	for _, n := range notices {
		m := n.FindSubmatch(line)
		if m == nil {
			continue
		}
		count := uint64(1)
		if len(m) > 1 {
			count, _ = strconv.ParseUint(string(m[1]), 10, 64) // digits; what does not fit is the most there is
		}
		if count > 0 {
			r.gap(evidence.Lost, AuditMethod, "records that the kernel or a daemon suppressed or lost, whosever they were", count)
		}
		return true
	}
	return false
}

func (r *auditReader) line(line []byte) {
	switch {
	case r.lost(line):
	case !isAudit(line): // the rest of a kernel log
	case bytes.Contains(line, []byte("type=1326 ")), bytes.Contains(line, []byte("type=SECCOMP ")):
		r.seccompRecord(parseRecord(line))
	case bytes.Contains(line, []byte(`apparmor="`)):
		r.apparmorRecord(parseRecord(line))
	}
}

const unseenSockets = "seccomp records do not tell which sockets were made"

// end notes what such a log cannot tell.
func (r *auditReader) end() {
	if r.opt.Profile == "" && len(r.profiles) > 1 {
		names := make([]string, 0, len(r.profiles))
		for p := range r.profiles {
			names = append(names, p)
		}
		slices.Sort(names)
		r.gap(evidence.Lost, AuditMethod, fmt.Sprintf("the log is about several AppArmor profiles, and none was chosen: %.300s", strings.Join(names, ", ")), 0)
	}
	if r.seccomp && !r.opt.Denied {
		r.gap(evidence.Hidden, "seccomp records", "calls that the filter allowed without logging them are not in the log", 0)
	}
	if r.seccomp && r.sockets && !r.networks {
		r.gap(evidence.UnseenSockets, "seccomp records", unseenSockets, 0)
	}
	if len(r.profiles) > 0 && !r.opt.Denied {
		r.gap(evidence.Hidden, "AppArmor records", "what the profile allowed is not in the log", 0)
	}
	if r.learning && !r.networks && !r.opt.Denied {
		r.gap(evidence.Lost, "AppArmor records", "sockets, signals, ptrace and mounts of programs that were exec'd in complain mode: "+
			"the kernel does not log them under the profiles that it makes for these", 0)
	}
	if len(r.profiles) == 0 && !r.opt.Denied {
		r.gap(evidence.UnseenCaps, AuditMethod, "seccomp records say nothing of capabilities", 0)
	}
}

// fields are those of an audit record.
type fields map[string]string

// parseRecord reads the fields after the time stamp: key=value, key="value", and
// key=HEX for what has odd bytes in it. What auditd adds to a record, after a
// group separator, is left out.
func parseRecord(line []byte) fields {
	line, _, _ = bytes.Cut(line, []byte{0x1d})
	_, text, ok := bytes.Cut(line, []byte("): "))
	if !ok {
		return nil
	}
	// Old auditd appends its own fields without a separator.
	out := fields{}
	for len(text) > 0 {
		text = bytes.TrimLeft(text, " ")
		key, rest, ok := bytes.Cut(text, []byte("="))
		if !ok || bytes.ContainsAny(key, ` "`) {
			_, text, _ = bytes.Cut(text, []byte(" "))
			continue
		}
		var value string
		value, text = fieldValue(string(key), rest)
		if _, twice := out[string(key)]; !twice {
			out[string(key)] = value
		}
	}
	return out
}

// encoded are the fields that the kernel writes with audit_log_untrustedstring:
// quoted, or in hexadecimal.
var encoded = []string{"name", "comm", "exe", "target", "profile", "label", "peer", "srcname", "addr", "peer_addr", "path"}

func fieldValue(key string, text []byte) (value string, rest []byte) {
	if len(text) > 0 && text[0] == '"' {
		quoted, rest, _ := bytes.Cut(text[1:], []byte(`"`))
		return string(quoted), rest
	}
	word, rest, _ := bytes.Cut(text, []byte(" "))
	if raw, err := hex.DecodeString(string(word)); err == nil && len(raw) > 0 && slices.Contains(encoded, key) {
		return string(raw), rest
	}
	return strings.TrimRight(string(word), ","), rest
}

// seccompRecord takes a record of seccomp: audit_seccomp in the kernel's
// kernel/auditsc.c.
func (r *auditReader) seccompRecord(f fields) {
	audit, err := strconv.ParseUint(f["arch"], 16, 32)
	nr, err2 := strconv.ParseUint(f["syscall"], 10, 32)
	code, err3 := strconv.ParseUint(f["code"], 0, 32)
	if err != nil || err2 != nil || err3 != nil || f["comm"] == "" {
		r.gap(evidence.Lost, "seccomp records", "records that could not be read", 1)
		return
	}
	other := len(r.opt.Comms) > 0 && !slices.Contains(r.opt.Comms, f["comm"])
	if other || r.opt.Denied && code == retLog {
		r.others++
		return
	}
	arch, ok := archOf(uint32(audit), uint32(nr))
	if !ok {
		r.gap(evidence.Lost, "seccomp records", fmt.Sprintf("calls of an architecture that profgen does not know: %x", audit), 1)
		return
	}
	r.seccomp = true
	number := uint32(nr)
	if arch == abi.X32 {
		number &^= abi.X32Bit
	}
	phase := phaseOf(f["comm"])
	if r.live != nil && phase == evidence.Start {
		phase = r.live.now()
	}
	r.takeCall(arch, number, phase, uint32(code))
}

// retLog is SECCOMP_RET_LOG, include/uapi/linux/seccomp.h: the call was made. All
// other actions that leave a record refuse it.
const retLog = 0x7ffc0000

func (r *auditReader) takeCall(arch abi.Arch, nr uint32, phase evidence.Phase, code uint32) {
	name, _ := arch.Name(nr)
	r.first(name == "execve" || name == "execveat")
	basis, refused := r.outcome(code != retLog, "EPERM")
	if refused != "" {
		r.gap(evidence.Refused, fmt.Sprintf("%s %d", arch, nr), name+" was refused by a seccomp filter already in force", 0)
		return
	}
	r.sockets = r.sockets || name == "socket" || name == "socketpair" || name == "socketcall"
	r.call(arch, nr, phase, basis)
	if r.live != nil {
		r.live.made(name, phase)
	}
}

// archOf is the ABI of an AUDIT_ARCH_ value and a number.
func archOf(audit, nr uint32) (abi.Arch, bool) {
	for _, a := range abi.Arches() {
		row, _ := a.Row()
		if row.Audit == audit && (a == abi.X32) == (audit == 0xc000003e && nr&abi.X32Bit != 0) {
			return a, true
		}
	}
	return "", false
}

// phaseOf tells an OCI runtime, which is under the filter before it execs the
// program, by the name of its task.
func phaseOf(comm string) evidence.Phase {
	if strings.HasPrefix(comm, "runc:[") || comm == "crun" || comm == "youki" {
		return evidence.Runtime
	}
	return evidence.Start
}
