package insn

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// armTemplates are instructions by the names of their operands: x and w are
// registers, xz and wz may be the zero register, p is an address, iN and uN
// immediates.
const armTemplates = `
mov {x}, {x}
mov {w}, {w}
mov {x}, xzr
mov {x}, #{i16}
mov {w}, #{i16}
movz {x}, #{u16}, lsl #{hw}
movn {x}, #{u16}, lsl #{hw}
movn {w}, #{u16}
movk {x}, #{u16}, lsl #{hw}
movk {w}, #{u16}, lsl #16
adr {x}, .+{u8}*4
adrp {x}, .
add {x}, {x}, #{u12}
add {w}, {w}, #{u12}
add {x}, {x}, #{u12}, lsl #12
sub {x}, {x}, #{u12}
sub {w}, {w}, #{u12}, lsl #12
adds {x}, {x}, #{u12}
subs {x}, {x}, #{u12}
subs {w}, {w}, #{u12}
add {x}, {xz}, {x}
add {w}, {wz}, {w}
add {x}, {x}, xzr
add {x}, {x}, {x}, lsl #{u6}
add {w}, {w}, {w}, lsr #{u5}
add {x}, {x}, {x}, asr #{u6}
sub {x}, {xz}, {x}
sub {w}, {wz}, {w}, asr #{u5}
subs {x}, {x}, {x}
subs {w}, {w}, {w}, lsl #{u5}
adds {w}, {w}, {w}
neg {x}, {x}
negs {w}, {w}
add {x}, {x}, {w}, uxtw #{u2}
add {x}, {x}, {w}, sxtw
add {x}, {x}, {w}, sxtb #1
add {x}, {x}, {w}, uxth #2
add {x}, {x}, {x}, sxtx #3
add {w}, {w}, {w}, sxth
add {w}, {w}, {w}, uxtb #3
sub {x}, {x}, {w}, uxtw
subs {x}, {x}, {w}, sxtw
add {x}, sp, #{u8}
add {x}, sp, {x}
mov {x}, sp
sub sp, sp, #16
add sp, sp, #16
and {x}, {x}, #0xff00
and {w}, {w}, #0xfffffff0
and {x}, {x}, #0x5555555555555555
orr {x}, {x}, #0x8000000000000001
orr {w}, {wz}, #0x7
eor {w}, {w}, #0x3ffc
ands {x}, {x}, #0xf
and {x}, {xz}, {x}
orr {x}, {xz}, {x}, lsl #{u6}
orr {w}, {w}, {w}, lsr #{u5}
eor {x}, {x}, {x}
eor {w}, {wz}, {w}, asr #{u5}
ands {w}, {w}, {w}
and {x}, {x}, {x}, ror #{u6}
bic {x}, {x}, {x}
orn {x}, {x}, {x}
eon {w}, {w}, {w}
bics {x}, {x}, {x}
mvn {x}, {x}
mvn {w}, {w}, lsl #3
lsl {x}, {x}, #{u6}
lsl {w}, {w}, #{u5}
lsr {x}, {x}, #{u6}
lsr {w}, {w}, #{u5}
asr {x}, {x}, #{u6}
asr {w}, {w}, #{u5}
ror {x}, {x}, #{u6}
extr {w}, {w}, {w}, #{u5}
lsl {x}, {x}, {x}
lsr {w}, {w}, {w}
asr {x}, {x}, {x}
asr {w}, {w}, {w}
ror {x}, {x}, {x}
ubfx {x}, {x}, #{u5}, #{n20}
ubfx {w}, {w}, #{u3}, #{n20}
ubfiz {x}, {x}, #{u5}, #{n20}
ubfiz {w}, {w}, #{u3}, #{n20}
sbfx {x}, {x}, #{u5}, #{n20}
sbfx {w}, {w}, #{u3}, #{n20}
sbfiz {x}, {x}, #{u5}, #{n20}
sbfiz {w}, {w}, #{u3}, #{n20}
bfi {x}, {x}, #{u5}, #{n20}
bfxil {w}, {w}, #{u3}, #{n20}
uxtb {w}, {w}
uxth {w}, {w}
sxtb {x}, {w}
sxtb {w}, {w}
sxth {x}, {w}
sxth {w}, {w}
sxtw {x}, {w}
mul {x}, {x}, {x}
mul {w}, {w}, {w}
mul {x}, {x}, {xz}
madd {x}, {x}, {x}, {x}
msub {w}, {w}, {w}, {w}
mneg {x}, {x}, {x}
smull {x}, {w}, {w}
umulh {x}, {x}, {x}
udiv {x}, {x}, {x}
sdiv {w}, {w}, {w}
adc {x}, {x}, {x}
sbcs {x}, {x}, {x}
ngc {w}, {w}
clz {x}, {x}
rbit {w}, {w}
rev {x}, {x}
rev16 {w}, {w}
cls {w}, {w}
crc32b {w}, {w}, {w}
crc32cx {w}, {w}, {x}
csel {x}, {xz}, {xz}, {cc}
csel {w}, {wz}, {wz}, {cc}
csinc {x}, {xz}, {xz}, {cc}
csinc {w}, {wz}, {wz}, {cc}
csinv {x}, {xz}, {xz}, {cc}
csinv {w}, {wz}, {wz}, {cc}
csneg {x}, {xz}, {xz}, {cc}
csneg {w}, {wz}, {wz}, {cc}
csinc x3, x3, xzr, {cc}
csinc x3, x3, x3, {cc}
csneg x3, xzr, x3, {cc}
cset {x}, {cc}
csetm {w}, {cc}
cinc {x}, {x}, {cc}
ldr {x}, [{p}, #{a8}]
ldr {w}, [{p}, #{a8}]
ldrb {w}, [{p}, #{u6}]
ldrh {w}, [{p}, #{a8}]
ldrsb {x}, [{p}, #{u6}]
ldrsb {w}, [{p}, #{u6}]
ldrsh {x}, [{p}, #{a8}]
ldrsh {w}, [{p}, #{a8}]
ldrsw {x}, [{p}, #{a8}]
ldur {x}, [{p}, #{i8}]
ldurb {w}, [{p}, #{i8}]
ldursw {x}, [{p}, #{i8}]
ldtr {x}, [{p}, #{i8}]
str {xz}, [{p}, #{a8}]
str {wz}, [{p}, #{a8}]
strb {w}, [{p}, #{u6}]
strh {w}, [{p}, #{a8}]
stur {x}, [{p}, #{i8}]
sttr {w}, [{p}, #{i8}]
ldr {x}, [{p}], #{i8}
ldr {x}, [{p}, #{i8}]!
ldrb {w}, [{p}], #{i8}
str {xz}, [{p}], #{i8}
str {w}, [{p}, #{i8}]!
str {x}, [sp, #-16]!
ldr {x}, [sp], #16
ldp {x}, x5, [{p}, #{a7}]
ldp {w}, w5, [{p}, #{a7}]
ldpsw {x}, x5, [{p}, #{a7}]
ldp x19, x5, [x19, #{a7}]
ldp x6, x20, [x20]
stp {xz}, {xz}, [{p}, #{a7}]
stp {w}, {w}, [{p}, #{a7}]
stp {x}, {x}, [sp, #-16]!
ldp {x}, x5, [sp], #16
ldnp {x}, x5, [{p}]
stnp {x}, {x}, [{p}]
ldr {x}, [{p}, x7]
ldr {x}, [{p}, x7, lsl #3]
ldrb {w}, [{p}, x7]
ldr {w}, [{p}, w7, uxtw #2]
ldrsw {x}, [{p}, w7, sxtw #2]
str {x}, [{p}, x7, lsl #3]
strh {w}, [{p}, x7, lsl #1]
str {w}, [{p}, w7, uxtw]
str q0, [{p}, x7, lsl #4]
str d0, [{p}, x7]
ldr {x}, .+4
ldr {w}, .+8
ldrsw {x}, .+4
ldr d0, .+4
prfm pldl1keep, [{p}]
prfm pldl1keep, .+4
str q0, [{p}, #16]
str d0, [{p}, #{a8}]
str s0, [{p}]
str h0, [{p}]
str b0, [{p}, #1]
str q0, [{p}], #16
stp q0, q1, [{p}, #32]
stp d0, d1, [{p}, #-16]!
ldp q0, q1, [{p}], #32
ldr q0, [{p}, #16]
ldur q0, [{p}, #-7]
stur q0, [{p}, #-7]
ldxr {x}, [{p}]
ldxrb {w}, [{p}]
ldaxr {w}, [{p}]
stxr w5, {x}, [{p}]
stlxr w5, {w}, [{p}]
ldxp {x}, x5, [{p}]
ldaxr x5, [{p}]\nstlxr w6, {x}, [{p}]
ldar {x}, [{p}]
ldarb {w}, [{p}]
stlr {x}, [{p}]
stlrh {w}, [{p}]
ldapr {x}, [{p}]
ldapur {x}, [{p}, #8]
stlur {w}, [{p}, #8]
ldapursw {x}, [{p}, #8]
ldapursb {w}, [{p}, #8]
cas {x}, {x}, [{p}]
casalb {w}, {w}, [{p}]
casp x4, x5, x6, x7, [{p}]
swp {x}, {x}, [{p}]
ldadd {x}, {x}, [{p}]
ldclral {w}, {w}, [{p}]
ldsmaxb {w}, {w}, [{p}]
stadd {x}, [{p}]
st1 {v0.16b}, [{p}]
st1 {v0.d}[1], [{p}], #8
st2 {v0.4s, v1.4s}, [{p}]
st4 {v0.16b, v1.16b, v2.16b, v3.16b}, [{p}], x7
ld1 {v0.16b}, [{p}], #16
ld1r {v0.4s}, [{p}]
fmov {x}, d0
fmov {w}, s0
fmov d0, {x}
umov {w}, v0.b[3]
umov {x}, v0.d[1]
smov {x}, v0.h[2]
fcvtzs {x}, d0
fcvtas {w}, s0
fcvtzu {x}, d0, #5
scvtf d0, {x}
ins v0.d[0], {x}
dup v0.16b, {w}
add v0.4s, v0.4s, v1.4s
addv b0, v0.16b
cmeq v0.16b, v0.16b, #0
mrs {x}, nzcv
msr nzcv, {x}
mrs {x}, fpcr
mrs {x}, tpidr_el0
nop
dmb ish
isb
bti c
paciasp
xpaclri
xpaci {x}
pacia {x}, {x}
autiza {x}
pacga {x}, {x}, {x}
ccmp {x}, {x}, #3, {cc}
ccmn {w}, #3, #3, {cc}
rmif {x}, #3, #3
setf8 {w}
cfinv
cmp {x}, {x}\nb.{cc} 1f\nmov {x}, {x}\n1:
cmp {w}, {w}\nb.{cc} 1f\nmov {x}, #{i16}\n1:
cmp {x}, #{u12}\nb.{cc} 1f\nmov {x}, #{i16}\n1:
cmp {w}, #{u5}\nb.{cc} 1f\nmov {x}, #{i16}\n1:
cmp {w}, #0\nb.{cc} 1f\nmov {x}, #{i16}\n1:
cmp {w}, {w}, lsl #3\nb.{cc} 1f\nmov {x}, #{i16}\n1:
cmp {x}, {w}, sxtw\nb.{cc} 1f\nmov {x}, #{i16}\n1:
cmp xzr, {x}\nb.{cc} 1f\nmov {x}, #{i16}\n1:
cmp {x}, xzr\nb.{cc} 1f\nmov {x}, #{i16}\n1:
cmn {x}, #{u5}\nb.{cc} 1f\nmov {x}, #{i16}\n1:
tst {x}, #0xf0\nb.{cc} 1f\nmov {x}, #{i16}\n1:
tst {w}, {w}\nb.{cc} 1f\nmov {x}, #{i16}\n1:
tst {samex}\nb.{cc} 1f\nmov {x}, #{i16}\n1:
tst {samew}\nb.{cc} 1f\nmov {x}, #{i16}\n1:
subs {x}, {x}, {x}\nb.{cc} 1f\nmov {x}, #{i16}\n1:
subs {x}, {x}, #{u5}\nb.{cc} 1f\nmov {x}, #{i16}\n1:
adds {x}, {x}, #{u5}\nb.{cc} 1f\nmov {x}, #{i16}\n1:
ands {x}, {x}, #0xf0\nb.{cc} 1f\nmov {x}, #{i16}\n1:
ands {x}, {x}, {x}\nb.{cc} 1f\nmov {x}, #{i16}\n1:
bics {w}, {w}, {w}\nb.{cc} 1f\nmov {x}, #{i16}\n1:
cmp {w}, #{u5}\nmov {w}, {w}\nb.{cc} 1f\nmov {x}, {x}\n1:
cmp {w}, #{u5}\nccmp {w}, #3, #4, {cc}\nb.{cc} 1f\nmov {x}, {x}\n1:
cmp {w}, #{u5}\nadds {w}, {w}, {w}\nb.{cc} 1f\nmov {x}, {x}\n1:
cmp {w}, #{u5}\nadcs {w}, {w}, {w}\nb.{cc} 1f\nmov {x}, {x}\n1:
cmp {w}, #{u5}\nfcmp d0, d1\nb.{cc} 1f\nmov {x}, {x}\n1:
cmp {w}, #{u5}\nmsr nzcv, {x}\nb.{cc} 1f\nmov {x}, {x}\n1:
cmp {w}, #{u5}\ncbz {w}, 1f\nb.{cc} 1f\nmov {x}, {x}\n1:
cmp {w}, #{u5}\ntbz {w}, #31, 1f\nb.{cc} 1f\nmov {x}, {x}\n1:
cmp {w}, #{u5}\ntbz {w}, #3, 1f\nb.{cc} 1f\nmov {x}, {x}\n1:
cmp {w}, #{u5}\ncsel {x}, {x}, {x}, {cc}\nb.{cc} 1f\nmov {x}, {x}\n1:
cmp {w}, #{u5}\nsetf16 {w}\nb.{cc} 1f\nmov {x}, {x}\n1:
cmp {w}, #{u5}\ncfinv\nb.{cc} 1f\nmov {x}, {x}\n1:
cbz {x}, 1f\nmov {x}, #{i16}\n1:
cbnz {w}, 1f\nmov {x}, #{i16}\n1:
cbz xzr, 1f\nmov {x}, #{i16}\n1:
tbz {x}, #63, 1f\nmov {x}, #{i16}\n1:
tbnz {w}, #31, 1f\nmov {x}, #{i16}\n1:
tbnz {x}, #31, 1f\nmov {x}, #{i16}\n1:
tbz {x}, #{u6}, 1f\nmov {x}, #{i16}\n1:
b 1f\n1:
`

// armOperand makes an operand. X19 and X20 point to the window.
func armOperand(rng *rand.Rand, name string) string {
	reg := func(letter string) string {
		n := rng.IntN(14)
		if n > 11 {
			n += 11 // x23, x24
		}
		return fmt.Sprintf("%s%d", letter, n)
	}
	kinds := map[string][]string{
		"cc": strings.Fields("eq ne hs lo mi pl vs vc hi ls ge lt gt le"),
		"hw": strings.Fields("0 16 32 48"),
		"p":  strings.Fields("x19 x20 sp x19"),
	}
	if k := kinds[name]; k != nil {
		return k[rng.IntN(len(k))]
	}
	var n int
	switch {
	case name == "x" || name == "w":
		return reg(name)
	case name == "xz" || name == "wz":
		if rng.IntN(4) == 0 {
			return name[:1] + "zr"
		}
		return reg(name[:1])
	case strings.HasPrefix(name, "same"):
		r := reg(name[len("same"):])
		return r + ", " + r
	case strings.HasPrefix(name, "v"): // a list of vectors, not an operand
		return "{" + name + "}"
	case name == "n20":
		return fmt.Sprint(1 + rng.IntN(20))
	case name == "a8" || name == "a7": // aligned
		return fmt.Sprint(rng.IntN(8) * 8)
	}
	if _, err := fmt.Sscanf(name, "u%d", &n); err == nil {
		return fmt.Sprint(rng.IntN(1 << n))
	}
	return immediate(rng, name)
}

func TestARM64Semantics(t *testing.T) {
	const cross = "gcc-aarch64-linux-gnu, libc6-dev-arm64-cross and qemu-user"
	need(t, "aarch64-linux-gnu-gcc", cross)
	need(t, "qemu-aarch64", cross)
	need(t, "/usr/aarch64-linux-gnu/lib/libc.a", cross)
	s := semantics{
		machine:   ARM64(),
		cc:        []string{"aarch64-linux-gnu-gcc", "-static"},
		emulator:  []string{"qemu-aarch64"},
		as:        []string{"aarch64-linux-gnu-as", "-march=armv8.5-a+lse+rcpc+flagm+pauth"},
		header:    ".text\n",
		templates: splitTemplates(armTemplates),
		operand:   armOperand,
		skip:      Regs(17, 18),
		sequences: 40000,
	}
	s.run(t)
}
