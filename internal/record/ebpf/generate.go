package ebpf

//go:generate go tool bpf2go -tags linux -target amd64,arm64 -cc clang-14 -strip llvm-strip-14 -cflags "-O2 -mcpu=v3 -Wall -Werror" -no-global-types -type phase -type start -type abi -type args_kind -type tally -type state -type argspec -type argtable -type call -type tuple -type check -type set -type course -type file_op -type filespec -type filetable -type event_kind -type event -type peer -type meeting recorder recorder.bpf.c
