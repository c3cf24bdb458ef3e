// Package profgen is where to begin reading; it has no code.
//
// profgen records a running container workload and writes the least-privilege
// profiles that confine it: a seccomp filter, an AppArmor profile, a set of
// capabilities, and the docker run flags that put them in force.
//
//   - gen/evidence is the vocabulary: what was seen, by whom, and what could not
//     be. Everything else reads or writes it.
//   - gen/policy decides from evidence what is allowed, with reasons.
//   - gen/seccomp, gen/apparmor and gen/caps each spell a policy in one format.
//   - gen ties these together. Nothing under gen touches a kernel, a clock or a
//     network: the same evidence gives the same bytes on any machine.
//   - internal/record and internal/sandbox do the impure part: they start a
//     workload and watch it.
//   - cmd/profgen is the command.
//
// Which package may import which is a table in deps_test.go.
package profgen
