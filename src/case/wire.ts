/**
 * Programs and observations as bytes, for the channel between host and lab. Little-endian, no padding. Both ends are
 * of the same build, so there is no version in it.
 */
import type { VcpuSetup } from './case.ts';
import { apicStates, eoiKinds, idleKinds } from './limits.ts';
import {
  type GuestException,
  type LapicChanges,
  type MemoryChange,
  type Observation,
  type RegisterChange,
  registerNames,
  type StepObservation,
} from './observation.ts';
import { callRegisterBytes, type MemoryWrite, type Program, type ProgramStep } from './program.ts';
import { Reader, Writer } from './bytes.ts';

/** Programs and how to run them. */
export interface Batch {
  readonly programs: readonly Program[];
  readonly exact: boolean;
}

const stepKinds = ['run', 'call'] as const;

export function encodeBatch(programs: readonly Program[], options: { readonly exact: boolean }): Buffer {
  const out = new Writer(4096 * (programs.length + 1));
  out.u8(options.exact ? 1 : 0);
  out.u32(programs.length);
  for (const program of programs) {
    out.u8(program.vcpus.length);
    for (const vcpu of program.vcpus) {
      out.u32(vcpu.vpIndex);
      out.u8(apicStates.indexOf(vcpu.apic));
      out.u8(eoiKinds.indexOf(vcpu.eoi));
      out.u8(idleKinds.indexOf(vcpu.idle));
    }
    out.u8(program.steps.length);
    for (const step of program.steps) encodeStep(out, step);
  }
  return out.finish();
}

export function decodeBatch(bytes: Buffer): Batch {
  const input = new Reader(bytes);
  const exact = input.u8() === 1;
  const programs = input.times(input.u32(), () => ({
    vcpus: input.times(input.u8(), (): VcpuSetup => ({
      vpIndex: input.u32(),
      apic: apicStates[input.u8()]!,
      eoi: eoiKinds[input.u8()]!,
      idle: idleKinds[input.u8()]!,
    })),
    steps: input.times(input.u8(), () => decodeStep(input)),
  }));
  return { programs, exact };
}

function encodeStep(out: Writer, step: ProgramStep): void {
  out.u8(stepKinds.indexOf(step.kind));
  if (step.kind === 'run') return;
  out.u8(step.sender);
  out.bytes(step.registers);
  out.u8(step.writes.length);
  for (const write of step.writes) {
    out.u64(write.gpa);
    out.u32(write.bytes.length);
    out.bytes(write.bytes);
  }
}

function decodeStep(input: Reader): ProgramStep {
  if (stepKinds[input.u8()] === 'run') return { kind: 'run' };
  return {
    kind: 'call',
    sender: input.u8(),
    registers: input.bytes(callRegisterBytes),
    writes: input.times(input.u8(), (): MemoryWrite => ({ gpa: input.u64(), bytes: input.bytes(input.u32()) })),
  };
}

export function encodeObservations(observations: readonly Observation[]): Buffer {
  const out = new Writer(1024 * (observations.length + 1));
  for (const observation of observations) {
    for (const vpIndex of observation.vpIndexes) out.u32(vpIndex);
    out.u8(observation.steps.length);
    for (const step of observation.steps) encodeStepObservation(out, step);
    out.u8(observation.lapics.length);
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

/** The observations of `programs`, in their order. */
export function decodeObservations(bytes: Buffer, programs: readonly Program[]): Observation[] {
  const input = new Reader(bytes);
  return programs.map(({ vcpus }): Observation => {
    const vpIndexes = vcpus.map(() => input.u32());
    const steps = input.times(input.u8(), () => decodeStepObservation(input, vcpus.length));
    const lapics = input.times(input.u8(), () => decodeLapic(input));
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
const parts = { result: 1, exception: 2, registers: 4, arrivals: 8, lapics: 16 } as const;

function encodeStepObservation(out: Writer, step: StepObservation): void {
  const hasArrivals = step.arrivals.some((vectors) => vectors.length > 0);
  out.u8(
    (step.result === null ? 0 : parts.result) |
      (step.exception === null ? 0 : parts.exception) |
      (step.registers.length === 0 ? 0 : parts.registers) |
      (hasArrivals ? parts.arrivals : 0) |
      (step.lapics === null ? 0 : parts.lapics),
  );
  if (step.result !== null) out.u64(step.result);
  if (step.exception !== null) {
    out.u8(step.exception.vector);
    out.f64(step.exception.ripOffset);
  }
  if (step.registers.length > 0) {
    out.u8(step.registers.length);
    for (const { register, before, after } of step.registers) {
      out.u8(registerNames.indexOf(register));
      out.u64(before);
      out.u64(after);
    }
  }
  if (hasArrivals) {
    for (const vectors of step.arrivals) {
      out.u16(vectors.length);
      out.bytes(Buffer.from(vectors));
    }
  }
  if (step.lapics !== null) for (const lapic of step.lapics) encodeLapic(out, lapic);
}

function decodeStepObservation(input: Reader, vcpuCount: number): StepObservation {
  const has = input.u8();
  const perVcpu = Array.from({ length: vcpuCount });
  const result = has & parts.result ? input.u64() : null;
  const exception: GuestException | null =
    has & parts.exception ? { vector: input.u8(), ripOffset: input.f64() } : null;
  const registers =
    has & parts.registers
      ? input.times(input.u8(), (): RegisterChange => ({
          register: registerNames[input.u8()]!,
          before: input.u64(),
          after: input.u64(),
        }))
      : [];
  const arrivals = perVcpu.map(() => (has & parts.arrivals ? [...input.bytes(input.u16())] : []));
  const lapics = has & parts.lapics ? perVcpu.map(() => decodeLapic(input)) : null;
  return { result, exception, registers, arrivals, lapics };
}

function encodeLapic(out: Writer, changes: LapicChanges): void {
  out.u8(changes.size);
  for (const [offset, value] of changes) {
    out.u16(offset);
    out.u32(value);
  }
}

function decodeLapic(input: Reader): LapicChanges {
  const changes = new Map<number, number>();
  for (let count = input.u8(); count > 0; count--) {
    const offset = input.u16();
    changes.set(offset, input.u32());
  }
  return changes;
}
