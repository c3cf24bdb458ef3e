package scan

import (
	"bytes"
	"path"
	"slices"
	"strings"

	"github.com/profgen/profgen/internal/elfx"
	"github.com/profgen/profgen/internal/scan/link"
)

// class is a library that loads objects by itself, in ways that no parameter
// of dlopen shows, and what it loads.
type class struct {
	asked []string // exported functions that lead there; any of them alive is enough
	// format is a string that the code which does so has, by which it is known in
	// a static program, which exports nothing.
	format string
	loads  func(a *analysis, o *link.Object) []string
}

// classes are glibc's own plugins: they are opened by functions within libc
// that no symbol names. nsswitch.conf(5), iconv(1), pthread_cancel(3).
func classes() []class {
	return []class{
		{nssFunctions, "libnss_", (*analysis).nssModules},
		{[]string{"iconv_open", "setlocale", "newlocale", "fopen", "fopen64", "freopen", "freopen64", "fwide", "mbstowcs"}, "gconv-modules", (*analysis).gconvModules},
		{[]string{"pthread_cancel", "pthread_exit", "backtrace"}, unwinder, func(*analysis, *link.Object) []string { return []string{unwinder} }},
	}
}

// nssFunctions ask the name service switch: nsswitch.conf(5), "Databases".
var nssFunctions = []string{
	"getpwnam", "getpwnam_r", "getpwuid", "getpwuid_r", "getpwent", "getpwent_r", "setpwent",
	"getgrnam", "getgrnam_r", "getgrgid", "getgrgid_r", "getgrent", "getgrent_r", "setgrent", "initgroups", "getgrouplist",
	"getspnam", "getspnam_r", "getspent", "getaddrinfo", "getnameinfo", "gethostbyname", "gethostbyname_r", "gethostbyname2",
	"gethostbyname2_r", "gethostbyaddr", "gethostbyaddr_r", "gethostent", "getservbyname", "getservbyname_r", "getservbyport",
	"getservbyport_r", "getservent", "getprotobyname", "getprotobyname_r", "getprotobynumber", "getprotobynumber_r", "getprotoent",
	"getnetbyname", "getnetbyname_r", "getnetbyaddr", "getnetent", "getrpcbyname", "getrpcbynumber", "getrpcent", "getaliasbyname",
	"getaliasent", "ether_hostton", "ether_ntohost", "setnetgrent", "innetgr", "getnetgrent", "getpublickey", "getsecretkey",
}

// unwinder is what glibc loads to unwind a thread that ends: pthread_cancel(3).
const unwinder = "libgcc_s.so.1"

func (a *analysis) classes() {
	for _, c := range classes() {
		o := a.opener(c)
		if o == nil || a.classed[c.format] {
			continue
		}
		a.classed[c.format] = true
		for _, name := range c.loads(a, o) {
			a.open(o, name)
		}
	}
}

// opener is the object with the code of a class, if it can run: libc, or a
// program that libc is part of, where all that is linked in counts.
func (a *analysis) opener(c class) *link.Object {
	if a.link.Exe.File.Interp == "" {
		if !a.link.Exe.File.IsGo() && hasText(a.link.Exe.File, c.format) {
			return a.link.Exe
		}
		return nil
	}
	for _, name := range c.asked {
		for _, n := range a.live(name) {
			if o := n.Func.Code.Object; isGlibc(o) {
				return o
			}
		}
	}
	return nil
}

func isGlibc(o *link.Object) bool {
	return strings.HasPrefix(path.Base(o.Path), "libc.so") || strings.HasPrefix(path.Base(o.Path), "libc-2.")
}

// hasText reports whether a string of an object begins with s.
func hasText(f *elfx.File, s string) bool {
	for i := range f.Sections {
		sec := &f.Sections[i]
		if !sec.Exec && (bytes.Contains(sec.Data, []byte("\x00"+s)) || bytes.HasPrefix(sec.Data, []byte(s))) {
			return true
		}
	}
	return false
}

// nssModules are the modules of the services that nsswitch.conf names, and
// those that glibc falls back to where it says nothing.
func (a *analysis) nssModules(*link.Object) []string {
	services := map[string]bool{"files": true, "dns": true}
	conf, err := a.opt.Files.Contents("etc/nsswitch.conf")
	if err != nil {
		services["compat"], services["nis"] = true, true
	}
	for line := range strings.Lines(string(conf)) {
		line, _, _ = strings.Cut(line, "#")
		_, list, ok := strings.Cut(line, ":")
		if !ok {
			continue
		}
		for _, s := range strings.Fields(list) {
			if !strings.HasPrefix(s, "[") && !strings.HasSuffix(s, "]") && !strings.ContainsAny(s, "/=") {
				services[s] = true
			}
		}
	}
	var out []string
	for s := range services {
		out = append(out, "libnss_"+s+".so.2")
	}
	slices.Sort(out)
	return out
}

// gconvModules are all character set converters: which of them is used is in
// the locale and in the data.
func (a *analysis) gconvModules(o *link.Object) []string {
	dirs := []string{path.Join(path.Dir(o.Path), "gconv")}
	for _, v := range a.opt.Config.Env {
		if list, ok := strings.CutPrefix(v, "GCONV_PATH="); ok {
			dirs = append(dirs, strings.Split(list, ":")...)
		}
	}
	if o == a.link.Exe { // a static program has the path in a string
		for _, s := range texts(o.File) {
			if path.Base(s) == "gconv" || path.Base(s) == "gconv-modules" {
				dirs = append(dirs, strings.TrimSuffix(s, "-modules"))
			}
		}
	}
	var out []string
	for _, dir := range dirs {
		found := a.image.objectsIn(strings.TrimPrefix(dir, "/"))
		a.warm(found)
		for _, p := range found {
			out = append(out, "/"+p)
		}
	}
	return out
}
