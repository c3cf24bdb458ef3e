package scan

import (
	"path"
	"slices"
	"strings"
)

// class is a library that loads objects by itself, in ways that no parameter
// of dlopen shows, and what it loads.
type class struct {
	library string   // base name of the library, up to the first dot
	asked   []string // exported functions that lead there; any of them alive is enough
	loads   func(a *analysis) []string
}

// classes are glibc's own plugins: they are opened by functions within libc
// that no symbol names. nsswitch.conf(5), iconv(1), pthread_cancel(3).
func classes() []class {
	return []class{
		{"libc", nssFunctions, (*analysis).nssModules},
		{"libc", []string{"iconv_open", "setlocale", "newlocale", "fopen", "fwide", "mbstowcs"}, (*analysis).gconvModules},
		{"libc", []string{"pthread_cancel", "pthread_exit", "backtrace"}, func(*analysis) []string { return []string{"libgcc_s.so.1"} }},
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

func (a *analysis) classes() {
	for _, c := range classes() {
		i := slices.IndexFunc(c.asked, func(name string) bool { return len(a.live(name)) > 0 })
		if i < 0 || a.classed[c.asked[0]] {
			continue
		}
		lib := a.live(c.asked[i])[0].Func.Code.Object
		if base, _, _ := strings.Cut(path.Base(lib.Path), "."); base != c.library {
			continue
		}
		a.classed[c.asked[0]] = true
		for _, name := range c.loads(a) {
			a.open(lib, name)
		}
	}
}

// nssModules are the modules of the services that nsswitch.conf names, and
// those that glibc falls back to where it says nothing.
func (a *analysis) nssModules() []string {
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
func (a *analysis) gconvModules() []string {
	var out []string
	for _, o := range a.link.Objects {
		dir := path.Join(path.Dir(o.Path), "gconv")
		if !strings.HasPrefix(path.Base(o.Path), "libc.so") {
			continue
		}
		found := a.image.objectsIn(dir)
		a.warm(found)
		for _, p := range found {
			out = append(out, "/"+p)
		}
	}
	return out
}
