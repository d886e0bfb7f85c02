/**
 * Programs and observations as bytes, for the channel between host and lab. Little-endian, no padding. Both ends are
 * of the same build, so there is no version in it.
 */
import { actKinds, apicChanges, callModes, caseMsrs, irqchips, opcodes, registerWays, waitPoints } from './limits.ts';
import {
  type Arrivals,
  callExits,
  type GuestException,
  type MemoryChange,
  type Observation,
  type RegisterChange,
  registerNames,
  type StepObservation,
} from '../program/observation.ts';
import {
  type CallEnvironment,
  callRegisterBytes,
  environmentRegisterBytes,
  environmentRflags,
  type MemoryWrite,
  plainEnvironment,
  type Program,
  type ProgramStep,
} from '../program/program.ts';
import { Reader, Writer } from './bytes.ts';
import { decodeVcpus, encodeVcpus } from './wire-vcpus.ts';
import { decodeLapic, decodeLeftovers, encodeLapic, encodeLeftovers } from './wire-state.ts';

/** Programs and how to run them. */
export interface Batch {
  readonly programs: readonly Program[];
  readonly exact: boolean;
}

const stepKinds = ['run', 'call', 'write-msr', 'set-apic', 'init', 'act'] as const;

export function encodeBatch(programs: readonly Program[], options: { readonly exact: boolean }): Buffer {
  const out = new Writer(4096 * (programs.length + 1));
  out.u8(options.exact ? 1 : 0);
  out.u32(programs.length);
  for (const program of programs) {
    out.u8(irqchips.indexOf(program.machine.irqchip));
    out.u8(Number(program.machine.xen));
    out.u64(program.machine.guestOsId);
    out.u8(Number(program.machine.schedule !== null));
    out.u32(program.machine.schedule ?? 0);
    encodeVcpus(out, program.vcpus);
    out.u8(program.steps.length);
    for (const step of program.steps) encodeStep(out, step);
  }
  return out.finish();
}

export function decodeBatch(bytes: Buffer): Batch {
  const input = new Reader(bytes);
  const exact = input.u8() === 1;
  const programs = input.times(input.u32(), () => ({
    machine: decodeMachine(input),
    vcpus: decodeVcpus(input),
    steps: input.times(input.u8(), () => decodeStep(input)),
  }));
  return { programs, exact };
}

function decodeMachine(input: Reader): Program['machine'] {
  const machine = { irqchip: irqchips[input.u8()]!, xen: input.u8() === 1, guestOsId: input.u64() };
  const [isConcurrent, schedule] = [input.u8() === 1, input.u32()];
  return { ...machine, schedule: isConcurrent ? schedule : null };
}

function encodeStep(out: Writer, step: ProgramStep): void {
  out.u8(stepKinds.indexOf(step.kind));
  switch (step.kind) {
    case 'run':
      return;
    case 'write-msr':
      out.u16(step.vcpu);
      out.u8(caseMsrs.indexOf(step.msr));
      out.u64(step.value);
      return;
    case 'set-apic':
      out.u16(step.vcpu);
      out.u8(apicChanges.indexOf(step.apic));
      return;
    case 'init':
      out.u16(step.vcpu);
      return;
    case 'act':
      out.u16(step.vcpu);
      out.u8(actKinds.indexOf(step.act));
      out.u8(registerWays.indexOf(step.by));
      out.u8(step.tpr);
      out.u8(Number(step.open));
      out.u8(waitPoints.indexOf(step.at));
      return;
    case 'call':
      out.u16(step.sender);
      encodeEnvironment(out, step.environment);
      out.bytes(step.registers);
      out.u8(step.writes.length);
      for (const write of step.writes) {
        out.u64(write.gpa);
        out.u32(write.bytes.length);
        out.bytes(write.bytes);
      }
  }
}

function decodeStep(input: Reader): ProgramStep {
  const kind = stepKinds[input.u8()]!;
  switch (kind) {
    case 'run':
      return { kind };
    case 'write-msr':
      return { kind, vcpu: input.u16(), msr: caseMsrs[input.u8()]!, value: input.u64() };
    case 'set-apic':
      return { kind, vcpu: input.u16(), apic: apicChanges[input.u8()]! };
    case 'init':
      return { kind, vcpu: input.u16() };
    case 'act':
      return {
        kind,
        vcpu: input.u16(),
        act: actKinds[input.u8()]!,
        by: registerWays[input.u8()]!,
        tpr: input.u8(),
        open: input.u8() === 1,
        at: waitPoints[input.u8()]!,
      };
    case 'call': {
      const sender = input.u16();
      const environment = decodeEnvironment(input);
      const registers = input.bytes(environment === plainEnvironment ? callRegisterBytes : environmentRegisterBytes);
      const write = (): MemoryWrite => ({ gpa: input.u64(), bytes: input.bytes(input.u32()) });
      return { kind, sender, environment, registers, writes: input.times(input.u8(), write) };
    }
  }
}

/** Parts of an environment in one byte: 1 it is not the plain one, 2 a page, 4 the other opcode, 8 and up CPL; then the mode. */
function encodeEnvironment(out: Writer, environment: CallEnvironment): void {
  if (environment === plainEnvironment) return out.u8(0);
  const { mode, cpl, page, opcode } = environment;
  out.u8(1 | (page === null ? 0 : 2) | (opcodes.indexOf(opcode) << 2) | (cpl << 3));
  out.u8(callModes.indexOf(mode));
  if (page !== null) out.u64(page);
}

function decodeEnvironment(input: Reader): CallEnvironment {
  const parts = input.u8();
  if (parts === 0) return plainEnvironment;
  const mode = callModes[input.u8()]!;
  const page = parts & 2 ? input.u64() : null;
  return { mode, cpl: parts >> 3, page, opcode: opcodes[(parts >> 2) & 1]!, rflags: environmentRflags };
}

export function encodeObservations(observations: readonly Observation[]): Buffer {
  const out = new Writer(1024 * (observations.length + 1));
  out.u16(observations.length);
  for (const observation of observations) {
    for (const vpIndex of observation.vpIndexes) out.u32(vpIndex);
    out.u8(observation.steps.length);
    for (const step of observation.steps) encodeStepObservation(out, step);
    out.u16(observation.lapics.length);
    for (const lapic of observation.lapics) encodeLapic(out, lapic);
    out.u16(observation.memory.length);
    for (const change of observation.memory) {
      out.u64(change.gpa);
      out.u16(change.before.length);
      out.bytes(change.before);
      out.bytes(change.after);
    }
    out.text(observation.stopped ?? '');
  }
  return out.finish();
}

/** The observations of `programs`, in their order; fewer where the last one was stopped. */
export function decodeObservations(bytes: Buffer, programs: readonly Program[]): Observation[] {
  const input = new Reader(bytes);
  return programs.slice(0, input.u16()).map(({ vcpus }): Observation => {
    const vpIndexes = vcpus.map(() => input.u32());
    const steps = input.times(input.u8(), () => decodeStepObservation(input, vcpus.length));
    const lapics = input.times(input.u16(), () => decodeLapic(input));
    const memory = input.times(input.u16(), (): MemoryChange => {
      const gpa = input.u64();
      const length = input.u16();
      return { gpa, before: input.bytes(length), after: input.bytes(length) };
    });
    const stopped = input.text();
    return { vpIndexes, steps, lapics, memory, stopped: stopped === '' ? null : stopped };
  });
}

/** Which parts a step observation has; what is absent is null or empty. */
const parts = {
  result: 1,
  exception: 2,
  registers: 4,
  arrivals: 8,
  lapics: 16,
  exit: 32,
  priorities: 64,
  leftovers: 128,
} as const;

function encodeStepObservation(out: Writer, step: StepObservation): void {
  const hasArrivals = step.arrivals.some((vectors) => vectors.length > 0);
  const hasPriorities = step.priorities.some((priorities) => priorities.length > 0);
  out.u8(
    (step.result === null ? 0 : parts.result) |
      (step.exception === null ? 0 : parts.exception) |
      (step.registers.length === 0 ? 0 : parts.registers) |
      (hasArrivals ? parts.arrivals : 0) |
      (step.lapics === null ? 0 : parts.lapics) |
      (step.exit === null ? 0 : parts.exit) |
      (hasPriorities ? parts.priorities : 0) |
      (step.leftovers.length === 0 ? 0 : parts.leftovers),
  );
  if (step.result !== null) out.u64(step.result);
  if (step.exception !== null) {
    out.u8(step.exception.vector);
    out.f64(step.exception.ripOffset);
  }
  if (step.exit !== null) out.u8(callExits.indexOf(step.exit));
  if (step.registers.length > 0) {
    out.u8(step.registers.length);
    for (const { register, before, after } of step.registers) {
      out.u8(registerNames.indexOf(register));
      out.u64(before);
      out.u64(after);
    }
  }
  if (hasArrivals) encodeArrivals(out, step.arrivals);
  if (hasPriorities) encodeArrivals(out, step.priorities);
  if (step.lapics !== null) for (const lapic of step.lapics) encodeLapic(out, lapic);
  if (step.leftovers.length > 0) encodeLeftovers(out, step.leftovers);
}

function decodeStepObservation(input: Reader, vcpuCount: number): StepObservation {
  const has = input.u8();
  const perVcpu = Array.from({ length: vcpuCount });
  const result = has & parts.result ? input.u64() : null;
  const exception: GuestException | null =
    has & parts.exception ? { vector: input.u8(), ripOffset: input.f64() } : null;
  const exit = has & parts.exit ? callExits[input.u8()]! : null;
  const registers =
    has & parts.registers
      ? input.times(input.u8(), (): RegisterChange => ({
          register: registerNames[input.u8()]!,
          before: input.u64(),
          after: input.u64(),
        }))
      : [];
  const arrivals = perVcpu.map(() => (has & parts.arrivals ? [...input.bytes(input.u16())] : []));
  const priorities = perVcpu.map(() => (has & parts.priorities ? [...input.bytes(input.u16())] : []));
  const lapics = has & parts.lapics ? perVcpu.map(() => decodeLapic(input)) : null;
  const leftovers = has & parts.leftovers ? decodeLeftovers(input, vcpuCount) : [];
  return { result, exception, exit, registers, arrivals, priorities, leftovers, lapics };
}

function encodeArrivals(out: Writer, arrivals: Arrivals): void {
  for (const bytes of arrivals) {
    out.u16(bytes.length);
    out.bytes(Buffer.from(bytes));
  }
}
