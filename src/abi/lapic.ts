/**
 * The local APIC's register page as KVM_GET_LAPIC gives it: 1024 bytes, a 32-bit register every 0x10 bytes.
 * Source: Intel SDM volume 3 "Local APIC Register Address Map"; struct kvm_lapic_state.
 */

export const lapicPageBytes = 1024;

/** Byte offsets of the registers that this tool sets or predicts. */
export const APIC_ID = 0x20;
export const APIC_TASKPRI = 0x80;
export const APIC_PROCPRI = 0xa0;
export const APIC_LDR = 0xd0;
export const APIC_SPIV = 0xf0;
export const APIC_ISR = 0x100;
export const APIC_TMR = 0x180;
export const APIC_IRR = 0x200;
/** What the timer is at. */
export const APIC_TMCCT = 0x390;

/** SPIV bit 8: the APIC is software-enabled. */
export const APIC_SPIV_APIC_ENABLED = 0x100;

/** IA32_APIC_BASE and its bits. */
export const MSR_IA32_APICBASE = 0x1b;
export const MSR_IA32_APICBASE_BSP = 1n << 8n;
export const X2APIC_ENABLE = 1n << 10n;
export const MSR_IA32_APICBASE_ENABLE = 1n << 11n;
export const APIC_DEFAULT_PHYS_BASE = 0xfee0_0000n;
/** Delivery modes in an MSI's data. */
export const APIC_DM_NMI = 0x400;
export const APIC_DM_INIT = 0x500;
export const APIC_DM_STARTUP = 0x600;
/** Offset of the EOI register. */
export const APIC_EOI = 0xb0;
/** x2APIC MSR of the register at a byte offset. */
export function x2apicMsr(offset: number): number {
  return 0x800 + (offset >>> 4);
}
export const X2APIC_MSR_EOI = x2apicMsr(APIC_EOI);

/** Where a vector's bit is in a 256-bit register (ISR, TMR, IRR) that starts at byte `base` of the page. */
export function vectorBit(base: number, vector: number): { offset: number; mask: number } {
  return { offset: base + (vector >>> 5) * 0x10, mask: (1 << (vector & 31)) >>> 0 };
}

const registerNames: Record<number, string> = {
  [APIC_ID]: 'ID',
  0x30: 'version',
  [APIC_TASKPRI]: 'TPR',
  0x90: 'APR',
  [APIC_PROCPRI]: 'PPR',
  [APIC_EOI]: 'EOI',
  [APIC_LDR]: 'LDR',
  0xe0: 'DFR',
  [APIC_SPIV]: 'SPIV',
  0x280: 'ESR',
  0x300: 'ICR',
  0x310: 'ICR2',
  0x320: 'LVTT',
  0x380: 'TMICT',
  [APIC_TMCCT]: 'TMCCT',
  0x3e0: 'TDCR',
};

/** Name of the register at a byte offset; a 256-bit register's word carries its vector range. */
export function lapicRegisterName(offset: number): string {
  for (const [name, base] of [
    ['ISR', APIC_ISR],
    ['TMR', APIC_TMR],
    ['IRR', APIC_IRR],
  ] as const) {
    if (offset >= base && offset < base + 0x80) {
      const first = ((offset - base) / 0x10) * 32;
      return `${name}[0x${first.toString(16)}..0x${(first + 31).toString(16)}]`;
    }
  }
  return registerNames[offset] ?? `register 0x${offset.toString(16)}`;
}
