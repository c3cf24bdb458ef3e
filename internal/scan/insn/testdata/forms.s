# Every encoding family of x86-64. Each line is one instruction to the decoder.
.intel_syntax noprefix
# prefixes
endbr64
bnd jmp rax
notrack jmp rax
data16 lea rdi, [rip+0x10]
rex.w call .+0x100
data16 rex.w call .+0x100
lock cmpxchg16b [rdi]
xacquire lock inc dword ptr [rax]
rep movsq
repne scasb
cs nop word ptr [rax+rax*1+0x1000]
.byte 0x66, 0x66, 0x2e, 0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0
addr32 mov eax, [ebx+0x10]
mov eax, fs:[0]
mov rax, gs:[rip+0x100]
mov rax, [eip+0x100]
# one-byte map
add byte ptr [rax+rcx*4+0x12345678], 0x7f
add dword ptr [rax], 0x12345678
add word ptr [rax], 0x1234
add rax, 0x12345678
push 0x12345678
pushw 0x1234
push 1
imul eax, [rbx], 0x12345678
imul ax, [rbx], 0x1234
movabs rax, 0x123456789abcdef0
movabs al, [0x123456789abcdef0]
movabs [0x123456789abcdef0], rax
mov eax, 0x12345678
mov ax, 0x1234
mov ah, 0x12
mov qword ptr [rip+0x10], 0x12345678
mov word ptr [rip+0x10], 0x1234
test byte ptr [rip+0x10], 1
test dword ptr [rip+0x10], 0x12345678
test word ptr [rip+0x10], 0x1234
not dword ptr [rip+0x10]
ret 0x10
enter 0x1000, 3
leave
lret 8
iretq
int3
int 0x80
jrcxz .+2
jecxz .+3
loop .+2
in al, 0x10
out dx, eax
xlatb
fldenv [rip+0x10]
fnsave [rip+0x10]
fstp st(1)
fcomi st(3)
fisttp qword ptr [rsp]
xbegin .+0x100
xabort 1
xend
xtest
# system
sgdt [rax]
smsw eax
invlpg [rax]
swapgs
rdtscp
monitor
mwait
vmcall
vmlaunch
vmrun
clgi
skinit
rdpru
clzero
monitorx
mcommit
wbnoinvd
rdpkru
wrpkru
xgetbv
encls
enclu
pconfig
serialize
xsusldtrk
xresldtrk
clui
stui
testui
uiret
senduipi rax
setssbsy
saveprevssp
rstorssp [rax]
clrssbsy [rax]
incsspq rax
rdsspd eax
wrssq [rax], rcx
wrussd [rax], ecx
rdfsbase rax
wrgsbase ecx
xsave [rax]
xsavec64 [rax]
xrstors [rax]
clflushopt [rax]
clwb [rax]
cldemote [rax]
ptwrite rax
umonitor rax
umwait ecx
tpause ecx
rdpid rax
rdrand ax
rdseed rax
cmpxchg8b [rax]
vmptrld [rax]
vmclear [rax]
vmxon [rax]
vmread rax, rcx
vmwrite rax, [rcx]
invept rax, [rcx]
invpcid rax, [rcx]
mov cr3, rax
mov rax, dr7
mov rax, cr8
movdiri [rax], ecx
movdir64b rax, [rcx]
enqcmd rax, [rcx]
enqcmds rax, [rcx]
hreset 1
wrmsrns
rdmsrlist
aadd [rax], ecx
aor [rax], rcx
rsm
ud0 eax, [rax]
ud1 eax, [rax]
ud2
xstore-rng
rep xcrypt-ecb
rep montmul
getsec
sysretq
.byte 0x0f, 0x35
llwpcb rax
slwpcb rcx
lwpins rax, [rcx], 0x12345678
# 3DNow!, SSE
femms
pfadd mm0, [rax]
pi2fd mm1, mm2
extrq xmm0, 1, 2
insertq xmm0, xmm1, 1, 2
insertq xmm0, xmm1
movntss [rax], xmm0
movups xmm0, [rip+0x10]
movss xmm8, [r9+r10*4+0x10]
pshufd xmm0, [rip+0x10], 0x1b
shufps xmm0, xmm1, 1
cmpps xmm0, [rip+0x10], 1
psrldq xmm0, 3
psllw mm0, 3
pinsrw xmm0, [rip+0x10], 3
pextrw eax, xmm0, 3
pextrb [rip+0x10], xmm0, 3
maskmovdqu xmm0, xmm1
movnti [rip+0x10], eax
cvttsd2si rax, [rip+0x10]
lddqu xmm0, [rip+0x10]
pabsb mm0, mm1
pshufb xmm0, [rip+0x10]
palignr xmm0, xmm1, 3
roundsd xmm0, [rip+0x10], 1
crc32 rax, byte ptr [rip+0x10]
crc32 eax, word ptr [rip+0x10]
movbe eax, [rip+0x10]
popcnt ax, [rip+0x10]
adcx rax, [rip+0x10]
adox eax, [rip+0x10]
aesenc xmm0, [rip+0x10]
aeskeygenassist xmm0, [rip+0x10], 1
pclmulqdq xmm0, [rip+0x10], 0x11
sha1rnds4 xmm0, [rip+0x10], 1
sha256rnds2 xmm0, xmm1
gf2p8affineqb xmm0, [rip+0x10], 1
aesenc128kl xmm0, [rax]
aesdecwide256kl [rax]
encodekey256 eax, ecx
loadiwkey xmm0, xmm1
bndmk bnd0, [rax]
bndmov bnd1, [rax]
bndcl bnd0, rax
bndstx [rax+rcx], bnd0
# VEX
vaddps ymm0, ymm1, [rip+0x10]
vaddps xmm8, xmm9, [r10+r11*8+0x1000]
vzeroupper
vpsrldq ymm0, ymm1, 3
vpermq ymm0, [rip+0x10], 3
vextractf128 [rip+0x10], ymm0, 1
vblendvps ymm0, ymm1, [rip+0x10], ymm2
vgatherdps ymm0, [rax+ymm1*4+0x10], ymm2
vcvtph2ps ymm0, [rip+0x10]
vfmadd213sd xmm0, xmm1, [rip+0x10]
vfmaddps xmm0, xmm1, [rip+0x10], xmm2
vpcmpistri xmm0, [rip+0x10], 1
vldmxcsr [rip+0x10]
andn eax, ecx, [rip+0x10]
blsr rax, [rip+0x10]
mulx rax, rcx, [rip+0x10]
rorx rax, [rip+0x10], 3
shlx eax, [rip+0x10], ecx
kmovw k1, [rip+0x10]
kandq k1, k2, k3
kshiftlw k1, k2, 3
kortestb k1, k2
ldtilecfg [rax]
sttilecfg [rax]
tileloadd tmm0, [rax+rcx*1]
tilestored [rax+rcx*1], tmm0
tilezero tmm3
tilerelease
tdpbssd tmm0, tmm1, tmm2
tdpfp16ps tmm0, tmm1, tmm2
{vex} vpdpbusd ymm0, ymm1, [rip+0x10]
{vex} vpmadd52luq ymm0, ymm1, [rip+0x10]
vpdpbssd ymm0, ymm1, [rip+0x10]
vbcstnebf162ps ymm0, word ptr [rip+0x10]
vcvtneeph2ps ymm0, [rip+0x10]
cmpbexadd [rax], ecx, edx
# XOP, TBM, FMA4
vpermil2ps xmm0, xmm1, [rip+0x10], xmm2, 1
vpcmov xmm0, xmm1, [rip+0x10], xmm2
vprotb xmm0, [rip+0x10], 3
vprotd xmm0, xmm1, xmm2
vphaddbw xmm0, [rip+0x10]
vfrczps ymm0, [rip+0x10]
vpcomb xmm0, xmm1, [rip+0x10], 1
bextr eax, [rip+0x10], 0x12345678
blcfill rax, [rip+0x10]
tzmsk eax, ecx
# EVEX
vaddps zmm0{k1}{z}, zmm1, [rip+0x10]
vaddps zmm16, zmm31, dword ptr [rax+rcx*4+0x40]{1to16}
vaddps zmm0, zmm1, zmm2, {rn-sae}
vmovdqu8 [rsp+0x40], zmm5
vmovdqu64 zmm25{k2}, [rip+0x10]
vpternlogd zmm0, zmm1, [rip+0x10], 0x55
vpcmpub k1, zmm0, [rip+0x10], 1
vpscatterdd [rax+zmm1*4+0x10]{k1}, zmm0
vgatherdpd zmm0{k1}, [rax+ymm1*8+0x100]
vpcompressb [rax]{k1}, zmm0
vpmovqb [rax], zmm0
vextracti64x4 [rip+0x10], zmm0, 1
vinserti32x8 zmm0, zmm1, [rip+0x10], 1
vcvttsd2usi rax, [rip+0x10]
vpsrldq zmm0, [rip+0x10], 3
vprold zmm0, [rip+0x10], 3
vpshufbitqmb k1, zmm0, [rip+0x10]
vp2intersectd k0, zmm0, [rip+0x10]
v4fmaddps zmm0, zmm4, [rax]
vp4dpwssd zmm0, zmm4, [rax]
vexp2ps zmm0, [rip+0x10]
vgatherpf0dps [rax+zmm1*4]{k1}
vrndscalesd xmm0, xmm1, [rip+0x10], 3
vfpclassps k1, zmmword ptr [rip+0x10], 3
vpbroadcastq zmm0, rax
vdpbf16ps zmm0, zmm1, [rip+0x10]
vpclmulqdq zmm0, zmm1, [rip+0x10], 1
vaesenc zmm0, zmm1, [rip+0x10]
vgf2p8affineinvqb zmm0, zmm1, [rip+0x10], 1
# half precision
vaddph zmm0, zmm1, [rip+0x10]
vaddsh xmm0, xmm1, [rip+0x10]
vmovsh [rip+0x10], xmm0
vmovsh xmm0, [rip+0x10]
vmovw [rip+0x10], xmm0
vmovw xmm0, eax
vcmpph k1, zmm0, [rip+0x10], 1
vcvtph2psx zmm0, [rip+0x10]
vcvtss2sh xmm0, xmm1, [rip+0x10]
vcvttsh2usi rax, [rip+0x10]
vcvtsi2sh xmm0, xmm1, qword ptr [rip+0x10]
vfcmaddcph zmm0, zmm1, [rip+0x10]
vfmadd132ph zmm0, zmm1, [rip+0x10]
vgetmantph zmm0, [rip+0x10], 1
vrsqrtsh xmm0, xmm1, [rip+0x10]
vscalefph zmm0, zmm1, [rip+0x10]
vfpclasssh k1, word ptr [rip+0x10], 1
vreduceph zmm0, [rip+0x10], 1
