package insn

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
)

// x86Templates are instructions by the names of their operands: r8…r64 are
// registers, h8 may be AH, m8…m64 memory, i8…i64 immediates.
const x86Templates = `
mov {r64}, {r64}
mov {r32}, {r32}
mov {r16}, {r16}
mov {r8}, {r8}
mov {h8}, {h8}
mov {r64}, {i32}
mov {r32}, {i32}
mov {r16}, {i16}
mov {r8}, {i8}
mov {h8}, {i8}
movabs {r64}, {i64}
mov {m64}, {r64}
mov {m32}, {r32}
mov {m16}, {r16}
mov {m8}, {r8}
mov byte ptr [rbp+{i5}], {h8}
mov {m64}, {i32}
mov {m32}, {i32}
mov {m16}, {i16}
mov {m8}, {i8}
mov {r64}, {m64}
mov {r32}, {m32}
mov {r16}, {m16}
mov {r8}, {m8}
mov {h8}, byte ptr [rbp+{i5}]
movabs rax, [{abs}]
movabs al, [{abs}]
movabs [{abs}], eax
mov {r32}, dword ptr fs:[0x28]
movzx {r64}, {r8}
movzx {r32}, {r8}
movzx esi, {h8}
movzx {r16}, {r8}
movzx {r32}, {r16}
movzx {r64}, {r16}
movzx {r32}, {m8}
movzx {r64}, {m16}
movsx {r64}, {r8}
movsx {r32}, {r8}
movsx ecx, {h8}
movsx {r16}, {r8}
movsx {r32}, {r16}
movsx {r64}, {r16}
movsx {r32}, {m8}
movsx {r64}, {m16}
movsx {r16}, {m8}
movsxd {r64}, {r32}
movsxd {r64}, {m32}
lea {r64}, [rip+{i8}]
lea {r32}, [rip+{i8}]
lea {r64}, [{r64}+{i8}]
lea {r32}, [{r64}+{i8}]
lea {r32}, [{r64}]
lea {r16}, [{r64}+{i8}]
lea {r64}, [{r64}]
lea {r64}, [{r64}+{x64}*{s}]
lea {r64}, [{r64}+{x64}]
lea {r64}, [{r64}+{x64}*{s}+{i32}]
lea {r32}, [{r64}+{x64}*{s}+{i32}]
lea {r64}, [{x64}*{s}+{i32}]
lea {r64}, [{i32}]
lea {r64}, [{r32}+{i8}]
lea {r32}, [{r32}+{i8}]
lea {r16}, [{r64}+{x64}*{s}]
lea rsp, [rsp-8]
lea rsp, [rsp+8]
push {r64}
push rsp
push {i8}
push {i32}
push {m64}
push {r16}
pushfq
push fs
pop {r64}
pop {r16}
pop {m64}
enter 16, 0
enter 8, 1
leave
sub rsp, 16
add rsp, 16
and rsp, -16
{alu} {r64}, {r64}
{alu} {r32}, {r32}
{alu} {r16}, {r16}
{alu} {r8}, {r8}
{alu} {h8}, {h8}
{alu} {r64}, {i8}
{alu} {r32}, {i8}
{alu} {r16}, {i8}
{alu} {r8}, {i8}
{alu} {h8}, {i8}
{alu} {r64}, {i32}
{alu} {r32}, {i32}
{alu} {r16}, {i16}
{alu} rax, {i32}
{alu} eax, {i32}
{alu} ax, {i16}
{alu} al, {i8}
{alu} {r64}, {m64}
{alu} {r8}, {m8}
{alu} {m64}, {r64}
{alu} {m32}, {r32}
{alu} byte ptr [rsp+{i5}], {h8}
{alu} {m64}, {i8}
{alu} {m16}, {i16}
lock add {m32}, {r32}
xor {same64}
xor {same32}
xor {same16}
xor {same8}
sub {same64}
sub {same32}
sbb {same32}
and {same32}
or {same32}
or {r64}, -1
or {r32}, -1
or {r16}, -1
or {r8}, -1
or {m32}, -1
and {m64}, 0
and {r32}, 0
inc {r64}
inc {r32}
inc {r16}
inc {r8}
inc {h8}
inc {m32}
dec {r64}
dec {r32}
dec {m8}
neg {r64}
neg {r32}
neg {r16}
neg {r8}
neg {h8}
neg {m16}
not {r64}
not {r32}
not {r16}
not {r8}
not {m64}
{sh} {r64}, {i5}
{sh} {r32}, {i5}
{sh} {r16}, {i5}
{sh} {r8}, {i5}
{sh} {h8}, {i5}
{sh} {r64}, 1
{sh} {r32}, 1
{sh} {r64}, cl
{sh} {r32}, cl
{sh} {r16}, cl
{sh} {r8}, cl
{sh} {m32}, {i5}
{sh} {m8}, cl
shld {r64}, {r64}, {i5}
shrd {r32}, {r32}, cl
imul {r64}, {r64}
imul {r32}, {r32}
imul {r16}, {r16}
imul {r64}, {m64}
imul {r64}, {r64}, {i32}
imul {r32}, {r32}, {i8}
imul {r16}, {r16}, {i8}
imul {r32}, {m32}, {i8}
mul {r64}
mul {r8}
imul {r32}
imul {h8}
div {r32}
cdq
cqo
cwd
cbw
cwde
cdqe
cmov{cc} {r64}, {r64}
cmov{cc} {r32}, {r32}
cmov{cc} {r16}, {r16}
cmov{cc} {r32}, {m32}
set{cc} {r8}
set{cc} {h8}
set{cc} {m8}
xchg {r64}, {r64}
xchg {r32}, {r32}
xchg {h8}, {h8}
xchg {m32}, {r32}
xchg rax, {r64}
xchg eax, {r32}
.byte 0x87, 0xc0
xadd {r64}, {r64}
xadd {m32}, {r32}
xadd {h8}, {h8}
cmpxchg {r64}, {r64}
cmpxchg {m32}, {r32}
lock cmpxchg {m64}, {r64}
cmpxchg {h8}, {h8}
cmpxchg8b {m64}
bswap {r64}
bswap {r32}
bt {r64}, {i5}
bts {r64}, {i5}
btr {r32}, {r32}
btc {m32}, {i5}
bts {m32}, ecx
popcnt {r64}, {r64}
bsf {r64}, {r64}
bsr {r32}, {r32}
tzcnt {r32}, {r32}
andn {r32}, {r32}, {r32}
bextr {r32}, {r32}, {r32}
blsr {r64}, {r64}
blsi {r64}, {r64}
mulx {r64}, {r64}, {r64}
rorx {r64}, {r64}, 5
shlx {r64}, {r64}, {r64}
pdep {r64}, {r64}, {r64}
bzhi {r32}, {r32}, {r32}
adcx {r64}, {r64}
crc32 {r32}, {r8}
movbe {r64}, {m64}
movbe {m32}, {r32}
movnti {m32}, {r32}
movdiri {m32}, {r32}
cpuid
rdtsc
rdtscp
xgetbv
lahf
sahf
cmc
stc
cld
nop
nop dword ptr [rax+rax*8+0x10]
endbr64
mfence
pause
fnstsw ax
fnstcw {m16}
fldcw {m16}
fld1
fld qword ptr {p}
fstp tbyte ptr {p}
fistp qword ptr {p}
fnstenv {p}
emms
movd xmm0, {r32}
movq xmm0, {r64}
movd {r32}, xmm0
movq {r64}, xmm0
movd {m32}, xmm0
movq {m64}, xmm0
movq xmm1, {m64}
vmovd {r32}, xmm0
vmovq {m64}, xmm0
movups xmmword ptr {p}, xmm0
movupd xmm1, xmmword ptr {p}
movss dword ptr {p}, xmm0
movsd qword ptr {p}, xmm0
movlps qword ptr {p}, xmm0
movhpd qword ptr {p}, xmm0
movdqu xmmword ptr {p}, xmm0
vmovdqu ymmword ptr {p}, ymm0
vmovdqu32 zmmword ptr {p}, zmm0
vmovdqu8 zmmword ptr [rsp], zmm0
lddqu xmm0, xmmword ptr {p}
movmskps {r32}, xmm0
pmovmskb {r32}, xmm0
vpmovmskb {r32}, ymm0
pextrw {r32}, xmm0, 3
pextrb {r32}, xmm0, 3
pextrb {m8}, xmm0, 3
pextrd {r32}, xmm0, 1
pextrq {r64}, xmm0, 1
pextrq {m64}, xmm0, 1
extractps {r32}, xmm0, 1
vextracti128 xmmword ptr {p}, ymm0, 1
vpmovqb qword ptr {p}, zmm0
vpcompressd zmmword ptr {p}, zmm0
vcvtps2ph qword ptr {p}, xmm0, 0
pinsrw xmm0, {r32}, 2
pinsrd xmm0, {r32}, 2
cvtsi2sd xmm0, {r64}
cvttsd2si {r64}, xmm0
cvtsd2si {r32}, xmm0
cvttss2si {r32}, xmm0
vcvttsd2usi {r64}, xmm0
ptest xmm0, xmm0
ucomisd xmm0, xmm1
pcmpestri xmm0, xmm1, 4
pcmpistri xmm0, xmm1, 4
pxor xmm0, xmm0
paddd xmm0, xmm1
kmovd {r32}, k1
kmovq {m64}, k1
vpmaskmovd xmmword ptr {p}, xmm0, xmm1
lea rdi, {p}\nmaskmovdqu xmm0, xmm1
lea rdi, {p}\nstosb
lea rdi, {p}\nstosq
lea rdi, {p}\nmov ecx, 3\nrep stosd
lea rdi, {p}\nlea rsi, {p}\nmovsb
lea rdi, {p}\nlea rsi, {p}\nmovsq
lea rdi, {p}\nlea rsi, {p}\nmov ecx, 5\nrep movsw
lea rdi, {p}\nstd\nmov ecx, 3\nrep stosd\ncld
lea rsi, {p}\nlodsb
lea rsi, {p}\nlodsq
lea rdi, {p}\nscasb
lea rdi, {p}\nlea rsi, {p}\ncmpsd
lea rdi, {p}\nmov ecx, 4\nrepne scasb
cmp {r64}, {r64}\nj{cc} 1f\nmov {r64}, {r64}\n1:
cmp {r32}, {r32}\nj{cc} 1f\nmov {r32}, {i32}\n1:
cmp {r16}, {i16}\nj{cc} 1f\nmov {r32}, {i32}\n1:
cmp {r8}, {r8}\nj{cc} 1f\nmov {r32}, {i32}\n1:
cmp {r8}, {i8}\nj{cc} 1f\nadd {r64}, 5\n1:
cmp {r64}, {i8}\nj{cc} 1f\nadd {r64}, 5\n1:
cmp {r32}, {i8}\nj{cc} 1f\nadd {r64}, 5\n1:
cmp {r32}, {i32}\nmov {r32}, {r32}\nj{cc} 1f\nmov {r64}, {r64}\n1:
cmp {r32}, {i32}\nj{cc} 1f\nmov {r64}, {r64}\nj{cc} 1f\nmov {r32}, 7\n1:
cmp {h8}, {i8}\nj{cc} 1f\nmov {r64}, {r64}\n1:
cmp {m32}, {i8}\nj{cc} 1f\nmov {r64}, {r64}\n1:
cmp {r32}, 0\nj{cc} 1f\nmov {r32}, {i8}\n1:
test {same64}\nj{cc} 1f\nmov {r32}, {i8}\n1:
test {same32}\nj{cc} 1f\nmov {r32}, {i8}\n1:
test {same8}\nj{cc} 1f\nmov {r32}, {i8}\n1:
test {r64}, {r64}\nj{cc} 1f\nmov {r32}, {i8}\n1:
test {r32}, {i32}\nj{cc} 1f\nmov {r32}, {i8}\n1:
cmp {r32}, {i8}\nadd {r32}, {r32}\nj{cc} 1f\nmov {r32}, {i8}\n1:
cmp {r32}, {i8}\nlea {r32}, [rsp+8]\nj{cc} 1f\nmov {r32}, {i8}\n1:
cmp {r32}, {i8}\nshl {r32}, cl\nj{cc} 1f\nmov {r32}, {i8}\n1:
cmp {r32}, {i8}\nneg {r32}\nj{cc} 1f\nmov {r32}, {i8}\n1:
cmp {r32}, {i8}\nnot {r32}\nj{cc} 1f\nmov {r32}, {i8}\n1:
cmp {r32}, {i8}\nxadd {r32}, {r32}\nj{cc} 1f\nmov {r32}, {i8}\n1:
cmp {r32}, {i8}\nucomisd xmm0, xmm1\nj{cc} 1f\nmov {r32}, {i8}\n1:
cmp {r32}, {i8}\nptest xmm0, xmm1\nj{cc} 1f\nmov {r32}, {i8}\n1:
cmp {r32}, {i8}\nbt {r32}, 3\nj{cc} 1f\nmov {r32}, {i8}\n1:
cmp {r32}, {i8}\ncmpxchg {r32}, {r32}\nj{cc} 1f\nmov {r32}, {i8}\n1:
cmp {r32}, {i8}\nset{cc} {r8}\nj{cc} 1f\nmov {r32}, {i8}\n1:
cmp {r32}, {i8}\npush {r64}\nj{cc} 1f\nmov {r32}, {i8}\n1:
cmp {r32}, {i8}\nstc\nj{cc} 1f\nmov {r32}, {i8}\n1:
cmp {r32}, {i8}\nandn {r32}, {r32}, {r32}\nj{cc} 1f\nmov {r32}, {i8}\n1:
cmp {r32}, {i8}\nfcomi st(1)\nj{cc} 1f\nmov {r32}, {i8}\n1:
mov ecx, {i2}\nloop 1f\nmov {r32}, {i8}\n1:
mov ecx, {i2}\nloopne 1f\nmov {r32}, {i8}\n1:
mov ecx, {i2}\njrcxz 1f\nmov {r32}, {i8}\n1:
mov ecx, {i2}\njecxz 1f\nmov {r32}, {i8}\n1:
mov ecx, {i2}\n.byte 0x67\nloop 1f\nmov {r32}, {i8}\n1:
jmp 1f\n1:
`

// x86Operand makes an operand. RBP and RBX point to the window and are seldom
// written, or all would fault.
func x86Operand(rng *rand.Rand, name string) string {
	kinds := map[string][]string{
		"alu":  strings.Fields("add or adc sbb and sub xor cmp"),
		"sh":   strings.Fields("shl shr sar sal rol ror rcl rcr"),
		"cc":   strings.Fields("o no b ae e ne be a s ns p np l ge le g"),
		"s":    strings.Fields("1 2 4 8"),
		"h8":   strings.Fields("ah ch dh al cl dl"),
		"r64":  strings.Fields("rax rcx rdx rsi rdi r8 r9 r10 r11 r12 r13 r14 r15"),
		"x64":  strings.Fields("rax rcx rdx rsi rdi r8 r12 r13 r15"),
		"r32":  strings.Fields("eax ecx edx esi edi r8d r9d r12d r13d r15d"),
		"r16":  strings.Fields("ax cx dx si di r8w r9w r12w"),
		"r8":   strings.Fields("al cl dl sil dil r8b r9b r12b bpl"),
		"base": strings.Fields("rsp rbp rbx rsp rbp"),
	}
	size := map[string]string{"m64": "qword ptr ", "m32": "dword ptr ", "m16": "word ptr ", "m8": "byte ptr ", "p": ""}
	pick := func(kind string) string { return kinds[kind][rng.IntN(len(kinds[kind]))] }
	switch {
	case kinds[name] != nil && name == "r8" && rng.IntN(8) > 0:
		return kinds[name][rng.IntN(len(kinds[name])-1)] // seldom bpl
	case kinds[name] != nil:
		return pick(name)
	case strings.HasPrefix(name, "same"):
		r := pick("r" + name[len("same"):])
		return r + ", " + r
	case name == "abs":
		return fmt.Sprintf("%#x", windowAddr+rng.IntN(windowSize-8))
	}
	if prefix, ok := size[name]; ok {
		switch rng.IntN(6) {
		case 0:
			return fmt.Sprintf("%sds:[%#x]", prefix, windowAddr+rng.IntN(windowSize-64))
		case 1:
			return fmt.Sprintf("%s[%s+%s*1+%d]", prefix, "rsp", pick("x64"), rng.IntN(256)-128)
		}
		return fmt.Sprintf("%s[%s%+d]", prefix, pick("base"), rng.IntN(200)-100)
	}
	return immediate(rng, name)
}

// immediate makes a constant of iN, as that many signed bits.
func immediate(rng *rand.Rand, name string) string {
	var n int
	if _, err := fmt.Sscanf(name, "i%d", &n); err != nil {
		panic("no operand: " + name)
	}
	v := int64(rng.Uint64())
	switch {
	case n <= 5:
		return fmt.Sprint(v & (1<<n - 1))
	case rng.IntN(3) == 0:
		v = int64(rng.IntN(5) - 2)
	}
	return fmt.Sprint(v << (64 - n) >> (64 - n))
}

func TestX86Semantics(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("needs an x86-64 processor")
	}
	need(t, "gcc", "gcc")
	s := semantics{
		machine:   X8664(),
		skip:      Regs(between),
		cc:        []string{"gcc", "-no-pie"},
		as:        []string{"as", "--64", "--no-warn"},
		header:    ".intel_syntax noprefix\n.text\n",
		templates: splitTemplates(x86Templates),
		operand:   x86Operand,
		sequences: 40000,
	}
	s.run(t)
}

// splitTemplates returns the lines of a table, in which \n parts the
// instructions of one template.
func splitTemplates(table string) []string {
	var out []string
	for line := range strings.Lines(strings.TrimSpace(table)) {
		out = append(out, strings.ReplaceAll(strings.TrimSpace(line), `\n`, "\n"))
	}
	return out
}
