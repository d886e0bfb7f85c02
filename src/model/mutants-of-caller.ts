/** Mutants that are wrong about who calls and how: privilege, CPUID, GUEST_OS_ID, Xen, irqchip, instruction. */
import { makeCase } from '../case/case.ts';
import * as parts from './mutant-parts.ts';

const plain = [{ vpIndex: 0 }];

export const callerMutants: readonly parts.Mutant[] = [
  {
    name: 'cpl-not-checked',
    description: 'takes calls from any CPL',
    minimal: parts.alone(0, parts.sendIpi({ cpl: 1 })),
    createParts: () => parts.withRule('illegal-environment', { applies: ({ caller }) => !caller.isProtected }),
  },
  {
    name: 'real-mode-not-checked',
    description: 'takes calls from real mode',
    minimal: parts.alone(0, parts.sendIpi({ mode: 'real' })),
    createParts: () => parts.withRule('illegal-environment', { applies: ({ caller }) => caller.cpl !== 0 }),
  },
  {
    name: 'cpuid-not-enforced',
    description: 'does not refuse a call that CPUID does not offer although it is enforced (as before 445caed0213a)',
    minimal: makeCase([{ vpIndex: 0, lacks: ['cluster-ipi'], enforced: true }], [parts.sendIpi()]),
    createParts: () => parts.withoutRule('access-denied'),
  },
  {
    name: 'xmm-not-enforced',
    description: 'reads XMM registers although CPUID does not offer that and is enforced (as before 4e62aa96d6e5)',
    minimal: makeCase([{ vpIndex: 0, lacks: ['xmm-input'], enforced: true }], [parts.sendIpiEx({ fast: true })]),
    createParts: () => parts.withoutRule('xmm-input-denied'),
  },
  {
    name: 'guest-os-id-ignored',
    description: 'takes calls for Hyper-V ones while GUEST_OS_ID is 0',
    minimal: makeCase(plain, [parts.sendIpi()], { guestOsId: 0n }),
    createParts: () => parts.withDecoded(({ caller }) => ({ caller: { ...caller, hasGuestOsId: true } })),
  },
  {
    name: 'lapic-not-checked',
    description: 'does not refuse calls in a VM without LAPICs (as before a8de7f100bb5)',
    minimal: makeCase(plain, [parts.sendIpi()], { irqchip: 'none' }),
    createParts: () => parts.withoutRule('no-lapic'),
  },
  {
    name: 'xen-takes-all',
    description: 'takes every call for a Xen one where those are intercepted',
    minimal: makeCase(plain, [parts.sendIpi({ rax: 0x8000_0000n })], { xen: true }),
    createParts: () => parts.withRule('xen-hypercall', { applies: ({ caller }) => caller.isXen }),
  },
  {
    name: 'extended-call-unknown',
    description: 'answers extended hypercalls itself (as before 6.3)',
    minimal: parts.alone(0, parts.sendIpi({ controlBits: [15] })),
    createParts: () => parts.withoutRule('extended-call'),
  },
];
