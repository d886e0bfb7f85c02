/**
 * Functions of `hyperv.c` and `lapic.c` that no case reaches, and why. What is not here and never runs is a gap of the
 * generators. Source: callers in Linux 7.3.
 */
interface Reason {
  /** Whole names. */
  readonly names: RegExp;
  /** Behind "never called, since". */
  readonly why: string;
}

const reasonsOf: Readonly<Record<string, readonly Reason[]>> = {
  'arch/x86/kvm/hyperv.c': [
    {
      names: /stimer_\w+|synic_deliver_msg|kvm_hv_process_stimers|get_time_ref_counter/,
      why: 'no case has a synthetic timer',
    },
    {
      names: /get_vcpu_by_vpidx|synic_(?:get|set_irq)|kvm_hv_synic_set_irq|kvm_hv_(?:notify_acked_sint|set_sint_gsi)/,
      why: 'no case routes an interrupt of a device to a SINT',
    },
    { names: /kvm_hv_synic_send_eoi/, why: 'all SINTs of cases are auto-EOI ones' },
    { names: /synic_exit|synic_get_msr/, why: "no guest of a case uses the SynIC's MSRs" },
    { names: /(?:kvm_hv_)?syndbg_\w+/, why: 'no case has the synthetic debugger' },
    { names: /kvm_hv_assist_page_enabled|kvm_hv_get_assist_page/, why: 'only nested guests have it read' },
    { names: /compute_tsc_page_parameters/, why: 'no case enables the TSC page' },
    { names: /\w*kvm_hv_xsaves_xsavec_maybe_warn/, why: 'it is about XSS and Windows (kvm_set_msr_common)' },
    { names: /current_task_runtime_100ns/, why: 'no case reads VP_RUNTIME' },
    { names: /kvm_hv_get_msr_pw/, why: 'no case reads an MSR of the partition' },
    {
      names: /sparse_set_to_vcpu_mask|hv_tlb_flush_enqueue|kvm_hv_(?:vcpu_)?flush_tlb/,
      why: 'no case makes a flush',
    },
    { names: /kvm_hvcall_signal_event|kvm_(?:vm_ioctl_)?hv_eventfd\w*/, why: 'HvCallSignalEvent is another call' },
  ],
  'arch/x86/kvm/lapic.c': [
    {
      names:
        /\w*(?:timer|tscdeadline|wait_lapic_expire|sw_period|target_expiration)\w*|kvm_apic_(?:local_deliver|nmi_wd_deliver)/,
      why: 'no case has a LAPIC timer, or anything else on an LVT',
    },
    {
      names:
        /kvm_(?:irq_delivery_to_apic_fast|vector_to_index|bitmap_or_dest_vcpus|apic_match_logical_addr|intr_is_single\w*)/,
      why: 'no device of a case sends an interrupt',
    },
    { names: /kvm_lapic_suppress_eoi_broadcast/, why: 'no interrupt of a case is level-triggered' },
    {
      names: /kvm_icr_to_lapic_irq|kvm_apic_send_ipi|\w*kvm_x2apic_icr_write\w*/,
      why: 'no guest of a case writes ICR',
    },
    { names: /\w*pv_send_ipi/, why: "KVM's own IPI hypercall is another call" },
    {
      names:
        /\w*kvm_apic_update_irr|kvm_apic_(?:clear_irr|update_ppr|set_eoi_accelerated|write_nodecode)|kvm_lapic_(?:set_eoi|find_highest_irr)|kvm_\w+_apic_access_page|kvm_x2apic_disable_read_intercept_reg_mask/,
      why: 'only VMX or APICv comes there',
    },
    { names: /__report_tpr_access|kvm_lapic_set_vapic_addr/, why: 'no case has TPR accesses reported' },
    { names: /kvm_hv_vapic_msr_read/, why: "no case reads the LAPIC by Hyper-V's MSRs" },
    { names: /kvm_apic_after_set_mcg_cap/, why: 'no case sets up machine checks' },
    { names: /kvm_lapic_exit/, why: 'the module stays loaded' },
  ],
};

/** Null where nothing is known. */
export function reasonFor(file: string, name: string): string | null {
  const reasons = reasonsOf[file] ?? [];
  return reasons.find(({ names }) => names.exec(name)?.[0] === name)?.why ?? null;
}
