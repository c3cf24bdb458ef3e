package policy

import (
	"testing"

	"github.com/profgen/profgen/gen/evidence"
	"github.com/profgen/profgen/internal/abi"
)

// What recordings have of arguments becomes a filter, and nothing else is taken
// for recorded.
func TestRecordedArgumentsAreFiltered(t *testing.T) {
	for _, arch := range abi.Arches() {
		for _, name := range arch.Names() {
			recorded := arch.Arguments(name)
			if (recorded != nil) != (filters[name] != nil) && !(arch == abi.X86 && name == "mmap") {
				t.Errorf("%s (%s): %d arguments are recorded, a filter of them there is: %t", name, arch, len(recorded), filters[name] != nil)
			}
			var args []evidence.Arg
			for _, a := range recorded {
				args = append(args, evidence.Arg{Index: a.Index, Value: 1 & a.Mask})
			}
			if recorded != nil && narrow(name, args) == nil {
				t.Errorf("%s (%s): what is recorded of it is not what its filter needs", name, arch)
			}
			if filters[name] != nil && narrow(name, nil) != nil {
				t.Errorf("%s: a filter of unknown arguments", name)
			}
		}
	}
	for name := range everyday {
		if filters[name] == nil {
			t.Errorf("%s: everyday arguments of a call that is not filtered", name)
		}
	}
}
