enum apic_state { X2APIC, XAPIC, SOFTWARE_DISABLED, HARDWARE_DISABLED };
enum eoi_kind { EOI_BY_HV_MSR, EOI_BY_APIC };

struct vectors {
	unsigned int count;
	unsigned char list[512];
};

/* What a vCPU's CPUID does not have */
enum lacks { NO_HYPERV = 1, NO_CLUSTER_IPI = 2, NO_EX_MASKS = 4, NO_XMM_INPUT = 8 };

struct vcpu_setup {
	unsigned int vp_index;		/* what the host writes */
	unsigned int vp_index_read;	/* what must be read back */
	enum apic_state apic;
	enum eoi_kind eoi;
	unsigned int id;		/* of KVM_CREATE_VCPU, and APIC ID */
	unsigned int mp_state;
	unsigned int lacks;
	int is_enforced;		/* KVM_CAP_HYPERV_ENFORCE_CPUID */
	unsigned int tpr;
	struct vectors irr, isr;	/* pending and in service at the start */
};

#define NOTHING ((struct vectors){ 0, { 0 } })
#define EVERYTHING ((struct vectors){ 256, { 0 } })
#define VECTORS(...) \
	((struct vectors){ sizeof((unsigned char[]){ __VA_ARGS__ }), { __VA_ARGS__ } })
