/** What machines and their changes must occur among a campaign's cases: name, predicate, and how often in 5000 cases. */
import type { CallStep, Case, Step, VcpuSetup } from '../../src/case/case.ts';
import { apicChanges, caseMsrs, cpuidFeatures, isSint } from '../../src/case/limits.ts';
import { actKinds } from '../../src/case/steps/act.ts';
import { vmmDeeds } from '../../src/case/steps/vmm.ts';
import { hasBit31 } from './call-dimensions.ts';
import { isCall } from '../../src/case/steps/kinds.ts';

const ramEnd = 0x100000n;

export const indexes = (value: Case): number[] => value.machine.vcpus.map((vcpu) => vcpu.vpIndex);

/** Whether a call of the newer form gives its tenth or eleventh bank in a register, and that names one of the VPs. */
function isInLastRegister(step: CallStep, vpIndexes: readonly number[]): boolean {
  if (step.do !== 'send-ipi-ex' || !step.fast || step.format !== 0n || step.maskFlips.length > 0) return false;
  const banks = [...new Set([...step.emptyBanks, ...step.targets.map((vp) => vp >> 6)])].sort((a, b) => a - b);
  const last = new Set(banks.slice(9));
  return banks.length <= 11 && step.targets.some((vp) => last.has(vp >> 6) && vpIndexes.includes(vp));
}

const inOrder = (value: Case) => indexes(value).every((index, position) => index === position);
const isPermuted = (value: Case) =>
  !inOrder(value) && [...indexes(value)].sort((a, b) => a - b).every((index, position) => index === position);

export const machineDimensions: [name: string, is: (value: Case) => boolean, least: number][] = [
  ...[1, 2, 3, 4, 5, 6, 7, 8].map((count): [string, (value: Case) => boolean, number] => [
    `${count} vCPUs`,
    (value) => value.machine.vcpus.length === count,
    100,
  ]),
  ['VP indexes in order', (value) => value.machine.vcpus.length > 2 && inOrder(value), 300],
  ['VP indexes permuted', isPermuted, 300],
  ['VP indexes doubled', (value) => new Set(indexes(value)).size < value.machine.vcpus.length, 300],
  ...[31, 32, 63, 64, 65, 127, 128, 191, 1023, 1024, 2047, 4031, 4032, 4095].map(
    (index): [string, (value: Case) => boolean, number] => [
      `VP index ${index}`,
      (value) => indexes(value).includes(index),
      100,
    ],
  ),
  ['VP index 4096', (value) => indexes(value).includes(4096), 5],
  ['VP index 65535', (value) => indexes(value).includes(65535), 5],
  ['VP index 2^32-1', (value) => indexes(value).includes(2 ** 32 - 1), 5],
  ...(['x2apic', 'xapic', 'software-disabled', 'hardware-disabled'] as const).map(
    (apic): [string, (value: Case) => boolean, number] => [
      `APIC ${apic}`,
      (value) => value.machine.vcpus.some((vcpu) => vcpu.apic === apic),
      500,
    ],
  ),
  ['EOI by APIC', (value) => value.machine.vcpus.some((vcpu) => vcpu.eoi === 'apic'), 1000],
  ...(['kernel', 'split', 'none'] as const).map((irqchip): [string, (value: Case) => boolean, number] => [
    `irqchip ${irqchip}`,
    (value) => value.machine.irqchip === irqchip,
    100,
  ]),
  ['Xen hypercalls intercepted', (value) => value.machine.xen !== false, 200],
  ['a second VM beside', (value) => value.machine.neighbour?.life === 'beside', 400],
  ['a second VM that sends', (value) => value.machine.neighbour?.busy === true, 100],
  ['a second VM just gone', (value) => value.machine.neighbour?.life === 'gone', 20],
  ['no GUEST_OS_ID', (value) => value.machine.guestOsId === 0n, 150],
  ...cpuidFeatures.map((name): [string, (value: Case) => boolean, number] => [
    `a vCPU without ${name}`,
    (value) => value.machine.vcpus.some(({ lacks }) => lacks.includes(name)),
    100,
  ]),
  ...(['cluster-ipi', 'ex-masks', 'xmm-input'] as const).map((name): [string, (value: Case) => boolean, number] => [
    `a sender that lacks ${name} where CPUID is enforced`,
    (value) => senders(value).some(({ lacks, enforced }) => enforced && lacks.includes(name)),
    50,
  ]),
  ['a sender without Hyper-V', (value) => senders(value).some(({ lacks }) => lacks.includes('hyperv')), 100],
  ['vCPU ids that are no positions', (value) => value.machine.vcpus.some(({ vcpuId }) => vcpuId !== null), 100],
  ['TPR above 0', (value) => value.machine.vcpus.some(({ tpr }) => tpr > 0), 500],
  ['something pending at the start', (value) => value.machine.vcpus.some(({ irr }) => irr.length > 0), 500],
  ['something in service at the start', (value) => value.machine.vcpus.some(({ isr }) => isr.length > 0), 500],
  [
    'presets and a run step',
    (value) => hasRun(value) && value.machine.vcpus.some(({ tpr, irr, isr }) => tpr + irr.length + isr.length > 0),
    200,
  ],
  ...(['uninitialized', 'init-received'] as const).map((idle): [string, (value: Case) => boolean, number] => [
    `a vCPU that is ${idle}`,
    (value) => value.machine.vcpus.some((vcpu) => vcpu.idle === idle),
    300,
  ]),
  ...caseMsrs.map((msr): [string, (value: Case) => boolean, number] => [
    `a write to ${msr} before a call`,
    (value) => isBeforeCall(value, (step) => step.do === 'write-msr' && step.msr === msr),
    isSint(msr) ? 50 : 150,
  ]),
  [
    'GUEST_OS_ID that becomes 0',
    (value) =>
      isBeforeCall(value, (step) => step.do === 'write-msr' && step.msr === 'guest-os-id' && step.value === 0n),
    80,
  ],
  ['a page that moves', (value) => new Set(enabledPages(value)).size > 1, 100],
  [
    'a page that is disabled',
    (value) => enabledPages(value).length > 0 && hypercallValues(value).some((word) => (word & 1n) === 0n),
    50,
  ],
  [
    'a page that is refused',
    (value) => hypercallValues(value).some((word) => (word & 1n) === 1n && word >= ramEnd),
    80,
  ],
  [
    'input in the hypercall page',
    (value) => {
      const pages = enabledPages(value);
      return value.steps.some(
        (step) => isCall(step) && !step.fast && step.gpa !== null && pages.includes(step.gpa >> 12n),
      );
    },
    30,
  ],
  ...apicChanges.map((apic): [string, (value: Case) => boolean, number] => [
    `an APIC that is made ${apic} before a call`,
    (value) => isBeforeCall(value, (step) => step.do === 'set-apic' && step.apic === apic),
    80,
  ]),
  [
    'an APIC that is disabled and enabled again',
    (value) =>
      value.steps.some(
        (step, place) =>
          step.do === 'set-apic' &&
          step.apic !== 'enabled' &&
          value.steps
            .slice(place)
            .some((later) => later.do === 'set-apic' && later.apic === 'enabled' && later.vcpu === step.vcpu),
      ),
    15,
  ],
  ['a migration before a call', (value) => isBeforeCall(value, (step) => step.do === 'migrate'), 300],
  ...vmmDeeds.map((does): [string, (value: Case) => boolean, number] => [
    `a VMM that does ${does} before a call`,
    (value) => isBeforeCall(value, (step) => step.do === 'vmm' && step.does === does),
    40,
  ]),
  [
    'an MSR that the guest reads',
    (value) => value.steps.some((step) => step.do === 'read-msr' && step.by === 'guest'),
    150,
  ],
  [
    'a start-up IPI behind INIT',
    ({ steps }) =>
      steps.some(
        (step, at) =>
          step.do === 'sipi' && steps.slice(0, at).some((other) => other.do === 'init' && other.vcpu === step.vcpu),
      ),
    10,
  ],
  ['INIT before a call', (value) => isBeforeCall(value, (step) => step.do === 'init'), 30],
  ['Xen and a call with bit 31 of RAX', (value) => value.machine.xen !== false && value.steps.some(hasBit31), 5],
  [
    'Xen and a call through the page',
    (value) => value.machine.xen !== false && value.steps.some((step) => isCall(step) && step.page !== null),
    2,
  ],
  ['EOI by the VP assist page', (value) => value.machine.vcpus.some((vcpu) => vcpu.eoi === 'assist'), 1000],
  ['no EOI', (value) => value.machine.vcpus.some((vcpu) => vcpu.eoi === 'none'), 500],
  [
    'a vCPU whose id is not its position and whose VP index is the one that KVM gave it',
    (value) =>
      value.machine.vcpus.some(({ vcpuId, vpIndex }, position) => (vcpuId ?? position) !== position && vpIndex >= 4096),
    150,
  ],
  [
    'a vCPU without Hyper-V whose VP index nobody writes, beside a sender that has Hyper-V',
    (value) =>
      senders(value).some(({ lacks }) => !lacks.includes('hyperv')) &&
      value.machine.vcpus.some(({ lacks, vpIndex }, position) => lacks.includes('hyperv') && vpIndex === position),
    150,
  ],
  [
    'auto-EOI SINTs and no EOI besides',
    (value) => value.machine.vcpus.some(({ autoEoi, eoi }) => autoEoi.length > 0 && eoi === 'none'),
    150,
  ],
  [
    'an XMM-fast call whose tenth or eleventh bank has a vCPU',
    (value) => value.steps.some((step) => isCall(step) && isInLastRegister(step, indexes(value))),
    30,
  ],
  ['auto-EOI SINTs', (value) => value.machine.vcpus.some((vcpu) => vcpu.autoEoi.length > 0), 300],
  ['PPR logged', (value) => value.machine.vcpus.some((vcpu) => vcpu.logsPpr), 300],
  ...actKinds.map((kind): [string, (value: Case) => boolean, number] => [
    `act ${kind}`,
    (value) => value.steps.some((step) => step.do === 'act' && step.act === kind),
    200,
  ]),
  ['halted vCPUs', (value) => value.machine.vcpus.some((vcpu) => vcpu.idle === 'halted'), 2],
  ['one step', (value) => value.steps.length === 1, 50],
  ['64 steps', (value) => value.steps.length === 64, 5],
  ['distinct vectors', (value) => new Set(vectors(value)).size === vectors(value).length, 500],
  ['repeated vectors', (value) => new Set(vectors(value)).size < vectors(value).length, 500],
  ['a run step between calls', (value) => value.steps.slice(0, -1).some((step) => step.do === 'run'), 500],
];

function vectors(value: Case): number[] {
  return value.steps.filter(isCall).map((step) => step.vector);
}

function senders({ machine, steps }: Case): VcpuSetup[] {
  return steps.filter(isCall).map(({ sender }) => machine.vcpus[sender]!);
}

function hasRun({ steps }: Case): boolean {
  return steps.some((step) => step.do === 'run');
}

function isBeforeCall({ steps }: Case, is: (step: Step) => boolean): boolean {
  const place = steps.findIndex(is);
  return place !== -1 && steps.slice(place).some(isCall);
}

/** Values that are written to HV_X64_MSR_HYPERCALL. */
function hypercallValues({ steps }: Case): bigint[] {
  return steps.flatMap((step) => (step.do === 'write-msr' && step.msr === 'hypercall' ? [step.value] : []));
}

/** Page numbers in RAM that are enabled. */
function enabledPages(value: Case): bigint[] {
  return hypercallValues(value)
    .filter((word) => (word & 1n) === 1n && word < ramEnd)
    .map((word) => word >> 12n);
}
