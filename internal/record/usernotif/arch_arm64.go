package usernotif

const (
	auditX8664  = 0xc000003e // AUDIT_ARCH_X86_64
	auditNative = 0xc00000b7 // AUDIT_ARCH_AARCH64
	auditCompat = 0x40000028 // AUDIT_ARCH_ARM
)
