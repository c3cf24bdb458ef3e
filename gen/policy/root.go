package policy

import (
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/profgen/profgen/gen/evidence"
)

// noScratch are folders that nobody mounts an empty one on.
var noScratch = []string{
	"/", "/bin", "/boot", "/dev", "/etc", "/lib", "/lib32", "/lib64", "/libx32", "/proc", "/sbin", "/sys", "/usr", "/var",
}

// plainName is a path that can stand in a flag of an engine.
var plainName = regexp.MustCompile(`^[A-Za-z0-9/._-]+$`)

// rootSubject is what decisions about the root file system are about.
const rootSubject = "--read-only"

// decideRoot makes the root read-only if all that is written to it is in folders
// of which the workload uses nothing else: empty ones are mounted there, which
// anybody may write to, as to /tmp, since nobody knows whose the image's were. What a symbolic link in such a folder
// led to is not known to be used: the kernel shows where it led.
func (d *decider) decideRoot(uses []evidence.FileAccess) {
	switch {
	case d.opt.WritableRoot:
		d.decide(rootSubject, false, "asked for by the user")
		return
	case !d.policy.Files.Confined:
		return // and that is warned of
	}
	folders, why := scratchFolders(uses)
	if why != "" {
		d.decide(rootSubject, false, "%s", why)
		d.warn("root-writable", "the root file system is not made read-only: %s", why)
		return
	}
	d.policy.Run.ReadOnly = true
	d.decide(rootSubject, true, "what the workload writes is on mounts or in folders of its own")
	for _, folder := range slices.Sorted(maps.Keys(folders)) {
		d.policy.Run.Tmpfs = append(d.policy.Run.Tmpfs, Tmpfs{Path: folder, Mode: 0o1777, Exec: folders[folder]})
		d.decide("--tmpfs="+folder, true, "the workload makes files in it, and uses none of the image's there")
	}
}

// scratchFolders returns the folders in which uses make files, and whether code in
// them is run; or why there are none that would do.
func scratchFolders(uses []evidence.FileAccess) (folders map[string]bool, why string) {
	made := map[string]bool{}
	for _, u := range uses {
		if u.Origin == evidence.FromItself {
			made[string(u.Path)] = true
		}
	}
	folders = map[string]bool{}
	for _, u := range uses {
		if !strings.ContainsAny(u.Perms, "wal") || u.Origin == evidence.FromMount || u.Mounted {
			continue
		}
		if !made[string(u.Path)] {
			return nil, "the workload writes to " + u.Path.String() + ", which is the image's; it takes a volume there"
		}
		folder := path.Dir(string(u.Path))
		for made[folder] {
			folder = path.Dir(folder)
		}
		if slices.Contains(noScratch, folder) || !plainName.MatchString(folder) {
			return nil, "the workload makes " + u.Path.String() + ", where no empty folder can be mounted; it takes a volume there"
		}
		folders[folder] = false
	}
	for _, u := range uses {
		for folder := range folders {
			switch below := strings.HasPrefix(string(u.Path), folder+"/"); {
			case !below:
			case u.Origin == evidence.FromImage && !made[string(u.Path)]:
				return nil, "the workload makes files in " + folder + " and uses " + u.Path.String() + ", which is the image's; it takes a volume there"
			case strings.ContainsAny(u.Perms, "xm"):
				folders[folder] = true
			}
		}
	}
	return folders, ""
}
