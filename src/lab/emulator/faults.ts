/**
 * Where emulators differ from a CPU, as far as cases can meet it: one table. A fault that a case meets says nothing
 * about KVM, so no such case is run on an emulator with that fault. A drawn case, and a saved one in a campaign, gets
 * another step (`instead`); `replay` skips the case and says so; the reducer avoids it. Versions without the fault run
 * all cases. No version is compared less strictly.
 */
import type { Step } from '../../case/case.ts';
import type { EmulatorFacts } from '../../executor/facts.ts';
import type { Emulator, EmulatorName } from './emulator.ts';

/** What a kernel must do so that a fault shows. */
export type KernelTrait = 'sti-before-vmrun';

export interface EmulatorFault {
  readonly name: string;
  readonly emulator: EmulatorName;
  /** What it does otherwise than a CPU: `keeps ...`. */
  readonly does: string;
  /** Where the architecture says what a CPU does. */
  readonly architecture: string;
  /** The first version that is known to have it; older ones are taken to have it as well. */
  readonly since: string;
  /** The first version that is known to be right; null while none is. */
  readonly until: string | null;
  /** How it is known, and how the versions are. */
  readonly known: string;
  /** Null where it shows with every kernel. */
  readonly needs: KernelTrait | null;
  /** Where the harness sees to it that no case meets it; null where cases must. */
  readonly avoidedBy: string | null;
  /** The step that is run instead of one that meets the fault; null for a step that does not. */
  readonly instead: (step: Step) => Step | null;
}

const never = (): null => null;

export const emulatorFaults: readonly EmulatorFault[] = [
  {
    name: 'shadow-kept-over-vmrun',
    emulator: 'qemu',
    does: 'keeps the interrupt shadow of the host over VMRUN, so that the first instruction of the guest is in it',
    architecture:
      'APM volume 2, 15.5.1 "Basic Operation": the shadow in front of VMRUN ends with it; 15.21.5 "Interrupt Shadows"',
    since: '7.2',
    until: '10.0',
    known:
      'measured: the modules of a KVM that executes sti in front of VMRUN (until be45bc4eff33, "KVM: SVM: Set RFLAGS.IF=1 in C code, ' +
      'to get VMRUN out of the STI shadow") lose an interrupt of a vCPU that waits in front of sti; hlt on 7.2.22, and do not on 10.0.2; ' +
      'versions between were not tried',
    needs: 'sti-before-vmrun',
    avoidedBy: null,
    // A wait with interrupts on makes the same calls meet a vCPU that is in no shadow of its own.
    instead: (step) =>
      step.do === 'act' && step.act === 'wait' && step.at !== 'open' ? { ...step, at: 'open' } : null,
  },
  {
    name: 'shadow-not-loaded-at-vmrun',
    emulator: 'qemu',
    does: 'saves the interrupt shadow of the guest at #VMEXIT and does not load it at VMRUN',
    architecture: 'APM volume 2, 15.21.5 "Interrupt Shadows": VMRUN loads INTERRUPT_SHADOW of the VMCB',
    since: '7.2',
    until: null,
    known: 'helper_vmrun of target/i386/tcg does not look at int_state, in 7.2 and in sources after 10.0',
    needs: null,
    avoidedBy:
      'src/machine/receiver.ts: a vCPU that took its vector in front of hlt is fetched, by the log of its handlers',
    instead: never,
  },
  {
    name: 'cr8-write',
    emulator: 'qemu',
    does: 'may end at a write of CR8',
    architecture: 'APM volume 2, 15.21.2 "Virtualizing APIC.TPR"',
    since: '7.2',
    until: null,
    known: 'met on 7.2; helper_write_crN of target/i386/tcg is the same in sources after 10.0',
    needs: null,
    avoidedBy: 'src/case/steps/act.ts: what a case may write to CR8',
    instead: never,
  },
  {
    name: 'tss-type',
    emulator: 'qemu',
    does: 'may end at an exception of a 32-bit guest on SVM, depending on the type of its TSS',
    architecture: 'APM volume 2, 15.5.1 "Basic Operation": VMRUN does not check the type of TR',
    since: '7.2',
    until: null,
    known: 'met on 7.2 (get_ss_esp_from_tss); other versions were not tried',
    needs: null,
    avoidedBy: 'src/guest/entry-registers.ts: the TSS of a guest on SVM is an available one',
    instead: never,
  },
];

/**
 * The emulator as facts of a target have it: only those faults that cases can meet there.
 *
 * @param traits of the kernel under test; one of which nobody knows counts as there.
 */
export function emulatorFacts(
  { name, version }: Pick<Emulator, 'name' | 'version'>,
  traits: Readonly<Record<KernelTrait, boolean | null>>,
): EmulatorFacts {
  const faults = emulatorFaults.filter((fault) => hasFault(fault, name, version));
  const met = faults.filter(
    ({ needs, avoidedBy }) => avoidedBy === null && (needs === null || traits[needs] !== false),
  );
  return { name, version, faults: met.map((fault) => fault.name) };
}

/** Whether an emulator has a fault. */
export function hasFault({ emulator, until }: EmulatorFault, name: string, version: string): boolean {
  return emulator === name && (until === null || isOlder(version, until));
}

function isOlder(version: string, than: string): boolean {
  const [left, right] = [version, than].map((text) => text.split('.').map(Number));
  for (let index = 0; index < Math.max(left!.length, right!.length); index++) {
    const difference = (left![index] ?? 0) - (right![index] ?? 0);
    if (difference !== 0) return difference < 0;
  }
  return false;
}

/** `STI` with `VMRUN` right behind it (APM volume 3). */
const stiVmrun = Buffer.from([0xfb, 0x0f, 0x01, 0xd8]);

/**
 * Whether a KVM enters guests in the interrupt shadow of `sti`, as its module's code says; null where KVM is no module, so that
 * its code is not at hand.
 */
export function entersInStiShadow(
  modules: readonly { readonly name: string; readonly bytes: Buffer }[],
): boolean | null {
  const kvmAmd = modules.find(({ name }) => name === 'kvm_amd');
  return kvmAmd === undefined ? null : kvmAmd.bytes.includes(stiVmrun);
}
