package insn

// Names of frequent forms. E is the operand ModRM.rm, G is ModRM.reg.
const (
	xx = bad

	// General registers.
	updB = modrm | rw | gpr | sz1       // E op= …
	updV = modrm | rw | gpr | szV       //
	putB = modrm | w | gpr | sz1 | keep // E = …
	putV = modrm | w | gpr | szV | keep //
	getB = modrm | r | wreg | sz1       // G op= E
	getV = modrm | r | wreg | szV       //
	movB = getB | keep                  // G = E
	movV = getV | keep                  //
	useB = modrm | r | sz1              // E is read
	useV = modrm | r | szV              //
	aluI = wax | ib | bound             // AL op= imm8
	aluZ = wax | iz | bound             // eAX op= imm32
	shB  = modrm | rw | gpr | sz1       // shifts
	shV  = modrm | rw | gpr | szV       //
	bitV = modrm | rw | gpr             // bit number in G: any byte about E
	jccB = ib | jcc | keep              //
	jccZ = jz | jcc | keep              //
	cmov = movV                         //
	setc = putB                         //
	strD = wdi | wcx                    // string instructions
	strS = wsi | wcx                    //
	strB = wsi | wdi | wcx              //
	op0  = form(0)                      // no operands
	opK  = keep                         // no operands, no flags
	push = wsp | keep                   //
	regK = keep                         // the register is in the opcode
	hint = modrm | keep                 // E is named, not accessed
	kmov = modrm | keep                 // mask registers
	id   = wax | wbx | wcx | wdx        //
	all7 = id | wsi | wdi               //
	sysr = modrm | w | gpr | sz8 | keep // mov from control registers
	rdm  = wax | wdx                    //
	mx   = modrm | r | szP              // MMX or vector
	mxi  = mx | ib                      //
	mxw  = modrm | w | szP | keep       //
	ss   = modrm | r | szS              // vector or scalar by prefix
	ssi  = ss | ib                      //
	ssw  = modrm | w | szS | keep       //
	sf   = modrm | r | szF              // scalar
	vr   = modrm | r | szX              // whole vector
	vri  = vr | ib                      //
	vw   = modrm | w | szX | keep       //
	vu   = modrm | r                    // part of a vector
	vui  = vu | ib                      //
	vuw  = modrm | w                    //
	vg   = modrm | r | wreg             // vector to general register
	vgf  = vg | szF                     //
	vy   = modrm | r | szY              // E is a general register or memory
	vyw  = modrm | w | gpr | szY | keep //
	m8w  = modrm | w | sz8 | keep       //
	bmi  = modrm | r | wreg | szY       // general registers, VEX
	ccx  = modrm | rw | wreg | szY      // cmpccxadd
	w1i  = modrm | w | gpr | sz1 | ib   // extract
	w2i  = modrm | w | gpr | sz2 | ib   //
	w4i  = modrm | w | gpr | sz4 | ib   //
	wyi  = modrm | w | gpr | szY | ib   //
	w16i = modrm | w | sz16 | ib        //
	w32i = modrm | w | sz32 | ib        //
	r1i  = modrm | r | sz1 | ib         // insert
	r2i  = modrm | r | sz2 | ib         //
	r4i  = modrm | r | sz4 | ib         //
	ryi  = modrm | r | szY | ib         //
	r16  = modrm | r | sz16             //
	h2   = modrm | r | sz2              // half precision
	h2w  = modrm | w | gpr | sz2        //
	strI = vri | wcx                    // pcmpestri
	bndw = modrm | w                    // MPX
	ud   = modrm | trap                 //
)

// opcodeMap names a map of opcodes.
type opcodeMap uint8

const (
	inOneByte opcodeMap = iota
	inTwoByte
	in38
	in3A
	inVEX0F
	inVEX38
	inVEX3A
	inEVEX5
	inEVEX6
)

var opcodeMaps = [...]*[256]form{&oneByte, &twoByte, &legacy38, &legacy3A, &vex0F, &vex38, &vex3A, &evex5, &evex6}

// oneByte is the one-byte opcode map.
var oneByte = [256]form{
	// 00: add, or, adc, sbb, and, sub, xor, cmp
	updB, updV, getB, getV, wax | ib, wax | iz, xx, xx, updB, updV, getB, getV, wax | ib, wax | iz, xx, escape,
	updB, updV, getB, getV, wax | ib, wax | iz, xx, xx, updB, updV, getB, getV, wax | ib, wax | iz, xx, xx,
	updB, updV, getB, getV, aluI, aluZ, prefix, xx, updB, updV, getB, getV, wax | ib, wax | iz, prefix, xx,
	updB, updV, getB, getV, wax | ib, wax | iz, prefix, xx, useB, useV, useB, useV, ib | bound, iz | bound, prefix, xx,
	// 40: REX
	prefix, prefix, prefix, prefix, prefix, prefix, prefix, prefix,
	prefix, prefix, prefix, prefix, prefix, prefix, prefix, prefix,
	// 50: push, pop
	push, push, push, push, push, push, push, push, push, push, push, push, push, push, push, push,
	// 60: movsxd, prefixes, push imm, imul, ins, outs
	xx, xx, evex, modrm | r | wreg | sz4 | keep, prefix, prefix, prefix, prefix,
	push | iz, getV | iz, push | ib, getV | ib, strD, strD, strS, strS,
	// 70: jcc
	jccB, jccB, jccB, jccB, jccB, jccB, jccB, jccB, jccB, jccB, jccB, jccB, jccB, jccB, jccB, jccB,
	// 80: group 1, test, xchg, mov, lea, pop
	g1 | modrm | gpr | sz1 | ib, g1 | modrm | gpr | szV | iz, xx, g1 | modrm | gpr | szV | ib, useB, useV, updB | wreg | keep, updV | wreg | keep,
	putB, putV, movB, movV, modrm | w | gpr | sz2 | keep, modrm | wreg | keep | leaK, modrm | r | sz2 | keep, xop,
	// 90: xchg, cbw, cwd, fwait, pushf, sahf
	pad | keep, regK, regK, regK, regK, regK, regK, regK, wax | keep, wdx | keep, xx, opK, push, wsp, op0, wax | keep,
	// a0: mov moffs, string instructions, test
	moffs | r | wax | sz1 | keep, moffs | r | wax | szV | keep, moffs | w | sz1 | keep, moffs | w | szV | keep, strB, strB, strB, strB,
	ib, iz, strD, strD, strS | wax, strS | wax, strD, strD,
	// b0: mov imm
	ib | keep, ib | keep, ib | keep, ib | keep, ib | keep, ib | keep, ib | keep, ib | keep,
	iv | keep, iv | keep, iv | keep, iv | keep, iv | keep, iv | keep, iv | keep, iv | keep,
	// c0: shifts, ret, mov imm, enter, leave, int, iret
	shB | ib, shV | ib, iw | ret, ret, vex3, vex2, gMovB | modrm | gpr | sz1 | ib | keep, gMovV | modrm | gpr | szV | iz | keep,
	iwb | wsp | wbp | keep, wsp | wbp | keep, iw | ret, ret, trap, ib | intn, xx, ret,
	// d0: shifts, xlat, x87
	shB, shV, shB, shV, xx, rex2, xx, wax | keep,
	modrm | r | sz4, gD9 | modrm, modrm | r | sz4, gDB | modrm, modrm | r | sz8, gDD | modrm, modrm | r | sz2, gDF | modrm,
	// e0: loop, in, out, call, jmp
	jccB | wcx, jccB | wcx, jccB | wcx, jccB, wax | ib, wax | ib, ib, ib, jz | call, jz | jump, xx, ib | jump, wax, wax, op0, op0,
	// f0: prefixes, int1, hlt, cmc, group 3, clc…std, groups 4 and 5
	prefix, trap, prefix, prefix, trap, op0, g3b | modrm | gpr | sz1, g3v | modrm | gpr | szV,
	op0, op0, op0, op0, opK, opK, g4 | modrm | gpr | sz1, g5 | modrm | gpr | szV,
}

// twoByte is the map after 0F.
var twoByte = [256]form{
	// 00: system
	g0F00 | modrm | gpr | sz2, g0F01 | modrm | gpr, getV, getV, xx, sysc, op0, ret, op0, op0, xx, trap, xx, hint, op0, modrm | ib | r | sz8,
	// 10: movups, movlps, unpck, movhps, hints
	ss, ssw, vu, m8w, vr, vr, vu, m8w, hint, hint, vu, bndw, hint, hint, g0F1E | modrm | keep, hint | pad,
	// 20: mov cr, movaps, cvt, movntps, ucomis
	sysr, sysr, modrm | r | sz8, modrm | r | sz8, xx, xx, xx, xx, vr, vw, vu, ssw, vg, vg, sf, sf,
	// 30: wrmsr, rdtsc, rdmsr, rdpmc, sysenter, sysexit, getsec
	op0, rdm, rdm, rdm, syse, ret, xx, id, escape, xx, escape, xx, xx, xx, xx, xx,
	// 40: cmov
	cmov, cmov, cmov, cmov, cmov, cmov, cmov, cmov, cmov, cmov, cmov, cmov, cmov, cmov, cmov, cmov,
	// 50
	modrm | wreg, ss, ss, ss, vr, vr, vr, vr, ss, ss, vu, vr, ss, ss, ss, ss,
	// 60: MMX
	mx, mx, mx, mx, mx, mx, mx, mx, mx, mx, mx, mx, vr, vr, vy | keep, mx | keep,
	// 70: pshuf, shifts, vmread, haddp, movd, movq
	mxi, g0F71 | modrm | ib, g0F71 | modrm | ib, g0F73 | modrm | ib, mx, mx, mx, op0,
	modrm | w | gpr | sz8, modrm | r | sz8, xx, xx, vr, vr, vyw, mxw,
	// 80: jcc
	jccZ, jccZ, jccZ, jccZ, jccZ, jccZ, jccZ, jccZ, jccZ, jccZ, jccZ, jccZ, jccZ, jccZ, jccZ, jccZ,
	// 90: setcc
	setc, setc, setc, setc, setc, setc, setc, setc, setc, setc, setc, setc, setc, setc, setc, setc,
	// a0: push fs, cpuid, bt, shld, padlock, rsm, shrd, group 15, imul
	push, push, id, vu, updV | ib, updV, modrm | all7, modrm | all7, push, push, op0, bitV, updV | ib, updV, g0FAE | modrm | gpr, getV,
	// b0: cmpxchg, lss, btr, movzx, popcnt, ud1, group 8, bsf, movsx
	updB | wax, updV | wax, modrm | r | wreg | sz10, bitV, modrm | r | wreg | sz10, modrm | r | wreg | sz10, movB | byteK, modrm | r | wreg | sz2 | keep,
	getV, ud, g0FBA | modrm | gpr | szV | ib, bitV, getV, getV, movB, modrm | r | wreg | sz2 | keep,
	// c0: xadd, cmpps, movnti, pinsrw, pextrw, shufps, group 9, bswap
	updB | wreg, updV | wreg, ssi, vyw, r2i, modrm | wreg | ib, vri, g0FC7 | modrm | gpr, regK, regK, regK, regK, regK, regK, regK, regK,
	// d0
	vr, mx, mx, mx, mx, mx, m8w, modrm | wreg, mx, mx, mx, mx, mx, mx, mx, mx,
	// e0
	mx, mx, mx, mx, mx, mx, vu, mxw, mx, mx, mx, mx, mx, mx, mx, mx,
	// f0: lddqu, …, maskmovq, …, ud0
	vr, mx, mx, mx, mx, mx, mx, modrm, mx, mx, mx, mx, mx, mx, mx, ud,
}

// legacy38 is the map after 0F 38.
var legacy38 = [256]form{
	mx, mx, mx, mx, mx, mx, mx, mx, mx, mx, mx, mx, xx, xx, xx, xx,
	vr, xx, xx, xx, vr, vr, xx, vr, xx, xx, xx, xx, mx, mx, mx, xx,
	vu, vu, vu, vu, vu, vu, xx, xx, vr, vr, vr, vr, xx, xx, xx, xx,
	vu, vu, vu, vu, vu, vu, xx, vr, vr, vr, vr, vr, vr, vr, vr, vr,
	vr, vr, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx,
	xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx,
	xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx,
	xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx,
	// 80: invept, invvpid, invpcid
	r16, r16, r16, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx,
	xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx,
	xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx,
	xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx,
	// c0: sha, gf2p8mulb
	xx, xx, xx, xx, xx, xx, xx, xx, vr, vr, vr, vr, vr, vr, xx, vr,
	// d0: aesencwide, aes
	xx, xx, xx, xx, xx, xx, xx, xx, vu, xx, xx, vr, vu, vu, vu, vu,
	xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx,
	// f0: movbe, wruss, wrss, movdir64b, movdiri, encodekey, aadd
	movV, putV, xx, xx, xx, vyw, vyw, xx, modrm | r, vyw, modrm | wreg, modrm | wreg, modrm | rw | szY, xx, xx, xx,
}

// legacy3A is the map after 0F 3A.
var legacy3A = [256]form{
	xx, xx, xx, xx, xx, xx, xx, xx, vri, vri, vui, vui, vri, vri, vri, mxi,
	xx, xx, xx, xx, w1i, w2i, wyi, w4i, xx, xx, xx, xx, xx, xx, xx, xx,
	r1i, r4i, ryi, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx,
	xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx,
	vri, vri, vri, xx, vri, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx,
	xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx,
	// 60: pcmpestrm, pcmpestri, pcmpistrm, pcmpistri
	vri, strI, vri, strI, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx,
	xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx,
	xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx,
	xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx,
	xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx,
	xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx,
	// c0: sha1rnds4, gf2p8affine
	xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, vri, xx, vri, vri,
	xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, vri,
	xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx,
	modrm | ib, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx,
}

// vex0F is map 1 of VEX and EVEX.
var vex0F = [256]form{
	xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx,
	ss, ssw, vu, m8w, vr, vr, vu, m8w, xx, xx, xx, xx, xx, xx, xx, xx,
	xx, xx, xx, xx, xx, xx, xx, xx, vr, vw, vy, vw, vgf, vgf, sf, sf,
	xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx,
	// 40: mask registers
	xx, kmov, kmov, xx, kmov, kmov, kmov, kmov, xx, xx, kmov, kmov, xx, xx, xx, xx,
	modrm | wreg, ss, ss, ss, vr, vr, vr, vr, ss, ss, vu, vr, ss, ss, ss, ss,
	vr, vr, vr, vr, vr, vr, vr, vr, vr, vr, vr, vr, vr, vr, vy, vr,
	// 70: …, vcvt to unsigned, …
	vri, vri, vri, vri, vr, vr, vr, opK, vg, vg, vu, vu, vr, vr, vyw, vw,
	xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx,
	// 90: kmov, kortest, ktest
	modrm | r | sz8, m8w, kmov, modrm | wreg | keep, xx, xx, xx, xx, modrm, modrm, xx, xx, xx, xx, xx, xx,
	xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, g0FAE | modrm | gpr, xx,
	xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx,
	xx, xx, ssi, xx, r2i, modrm | wreg | ib, vri, xx, xx, xx, xx, xx, xx, xx, xx, xx,
	vr, vu, vu, vu, vr, vr, m8w, modrm | wreg, vr, vr, vr, vr, vr, vr, vr, vr,
	vr, vu, vu, vr, vr, vr, vu, vw, vr, vr, vr, vr, vr, vr, vr, vr,
	vr, vu, vu, vu, vr, vr, vr, modrm, vr, vr, vr, vr, vr, vr, vr, xx,
}

// vex38 is map 2 of VEX and EVEX.
var vex38 = [256]form{
	vr, vr, vr, vr, vr, vr, vr, vr, vr, vr, vr, vr, vr, vr, vr, vr,
	vu, vu, vu, vu, vu, vu, vr, vr, vu, vu, vu, vu, vr, vr, vr, vr,
	vu, vu, vu, vu, vu, vu, vr, vr, vr, vr, vr, vr, vu, vu, vw, vw,
	vu, vu, vu, vu, vu, vu, vr, vr, vr, vr, vr, vr, vr, vr, vr, vr,
	// 40: …, tiles, …
	vr, vr, vu, vu, vu, vr, vr, vr, xx, g3849 | modrm, xx, vu, vu, vu, vu, vu,
	vr, vr, vr, vr, vr, vr, vu, vu, vu, vu, vu, vu, vu, vu, vu, vu,
	xx, xx, vu, vuw, vr, vr, vr, xx, vr, xx, xx, xx, vu, xx, xx, xx,
	vr, vr, vr, vr, xx, vr, vr, vr, vu, vu, vu, vu, vu, vr, vr, vr,
	// 80: …, expand, compress, maskmov
	xx, xx, xx, vr, xx, xx, xx, xx, vu, vu, vuw, vuw, vr, vr, vw, vr,
	// 90: gather, multiply-add
	vu, vu, vu, vu, xx, xx, vr, vr, vr, vu, vr, vu, vr, vu, vr, vu,
	// a0: scatter
	vuw, vuw, vuw, vuw, xx, xx, vr, vr, vr, vu, vr, vu, vr, vu, vr, vu,
	vu, vu, xx, xx, vr, vr, vr, vr, vr, vu, vr, vu, vr, vu, vr, vu,
	xx, xx, xx, xx, vr, xx, hint, hint, vr, xx, vr, vu, vr, vu, xx, vr,
	xx, xx, vr, vr, xx, xx, xx, xx, xx, xx, vr, vr, vr, vr, vr, vr,
	ccx, ccx, ccx, ccx, ccx, ccx, ccx, ccx, ccx, ccx, ccx, ccx, ccx, ccx, ccx, ccx,
	// f0: andn, blsr…, bzhi, mulx, bextr
	xx, xx, bmi, g38F3 | modrm | wvvvv | szY, xx, bmi, bmi | wvvvv, bmi, xx, xx, xx, xx, xx, xx, xx, xx,
}

// vex3A is map 3 of VEX and EVEX.
var vex3A = [256]form{
	vri, vri, vri, vri, vri, vri, vri, xx, vri, vri, vui, vui, vri, vri, vri, vri,
	xx, xx, xx, xx, w1i, w2i, wyi, w4i, vui, w16i, vui, w32i, xx, vuw | ib, vri, vri,
	r1i, r4i, ryi, vri, xx, vri, vri, vui, xx, xx, xx, xx, xx, xx, xx, xx,
	// 30: kshift
	kmov | ib, kmov | ib, kmov | ib, kmov | ib, xx, xx, xx, xx, vui, w16i, vui, w32i, xx, xx, vri, vri,
	vri, vri, vri, vri, vri, xx, vri, xx, vri, vri, vri, vri, vri, xx, xx, xx,
	vri, vui, xx, xx, vri, vui, vri, vui, xx, xx, xx, xx, vri, vri, vri, vri,
	vri, strI, vri, strI, xx, xx, vri, vui, vri, vri, vui, vui, vri, vri, vui, vui,
	vri, vri, vri, vri, xx, xx, xx, xx, vri, vri, vui, vui, vri, vri, vui, vui,
	xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx,
	xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx,
	xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx,
	xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx,
	xx, xx, vui, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, vri, vri,
	xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, vri, vri,
	xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx,
	bmi | ib, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx, xx,
}

// evex5 is map 5 of EVEX, half precision.
var evex5 = [256]form{
	0x10: h2, 0x11: h2w, 0x1d: vu, 0x2a: vy, 0x2c: vg, 0x2d: vg, 0x2e: h2, 0x2f: h2, 0x51: vu,
	0x58: vu, 0x59: vu, 0x5a: vu, 0x5b: vu, 0x5c: vu, 0x5d: vu, 0x5e: vu, 0x5f: vu,
	0x6e: h2, 0x78: vg, 0x79: vg, 0x7a: vu, 0x7b: vu, 0x7c: vu, 0x7d: vu, 0x7e: h2w,
}

// evex6 is map 6 of EVEX, half precision.
var evex6 = [256]form{
	0x13: vu, 0x2c: vu, 0x2d: vu, 0x42: vu, 0x43: vu, 0x4c: vu, 0x4d: vu, 0x4e: vu, 0x4f: vu, 0x56: vu, 0x57: vu,
	0x96: vu, 0x97: vu, 0x98: vu, 0x99: vu, 0x9a: vu, 0x9b: vu, 0x9c: vu, 0x9d: vu, 0x9e: vu, 0x9f: vu,
	0xa6: vu, 0xa7: vu, 0xa8: vu, 0xa9: vu, 0xaa: vu, 0xab: vu, 0xac: vu, 0xad: vu, 0xae: vu, 0xaf: vu,
	0xb6: vu, 0xb7: vu, 0xb8: vu, 0xb9: vu, 0xba: vu, 0xbb: vu, 0xbc: vu, 0xbd: vu, 0xbe: vu, 0xbf: vu,
	0xd6: vu, 0xd7: vu,
}

// Forms of the XOP maps, which are regular.
const (
	xop8 = modrm | r | ib
	xop9 = modrm | r | wreg | wvvvv
	xopA = modrm | r | wreg | iz
)

// exceptions are opcodes whose form hangs on the prefix. They have the same
// length.
var exceptions = []struct {
	table  opcodeMap
	enc    encoding
	op     [2]byte // first and last
	prefix uint8   // any of them
	form   form
}{
	{inTwoByte, legacy, [2]byte{0x7e, 0x7e}, pF3, modrm | r | sz8},   // movq
	{inVEX0F, vexed, [2]byte{0x7e, 0x7e}, pF3, modrm | r | sz8},      //
	{inVEX0F, evexed, [2]byte{0x7e, 0x7e}, pF3, modrm | r | sz8},     //
	{in38, legacy, [2]byte{0xf0, 0xf0}, pF2, getB},                   // crc32
	{in38, legacy, [2]byte{0xf1, 0xf1}, pF2, getV},                   //
	{in38, legacy, [2]byte{0xf6, 0xf6}, p66 | pF3, bmi},              // adcx, adox
	{inVEX38, evexed, [2]byte{0x10, 0x15}, pF3, vuw},                 // vpmovus…
	{inVEX38, evexed, [2]byte{0x20, 0x25}, pF3, vuw},                 // vpmovs…
	{inVEX38, evexed, [2]byte{0x30, 0x35}, pF3, vuw},                 // vpmov…
	{inVEX38, evexed, [2]byte{0x2e, 0x2f}, 0xff, vr},                 // no vmaskmov
	{inVEX38, vexed, [2]byte{0x49, 0x49}, p66, modrm | w | szUnsure}, // sttilecfg
	{inVEX38, vexed, [2]byte{0x4b, 0x4b}, pF3, modrm | w | szHuge},   // tilestored
	{inVEX38, evexed, [2]byte{0x13, 0x13}, p66, vu},                  // vcvtph2ps
}
