package usernotif

const (
	auditX8664  = 0xc000003e // AUDIT_ARCH_X86_64
	auditNative = auditX8664
	auditCompat = 0x40000003 // AUDIT_ARCH_I386
)
