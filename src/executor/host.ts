/** The KVM of this very computer, through a hand in this process. */
import { arch } from 'node:os';
import { SkippedError } from '../errors.ts';
import { openLibraryHand } from '../hand/library.ts';
import { KvmExecutor } from './kvm-executor.ts';

/** @throws SkippedError when /dev/kvm is absent, may not be opened, or has no Hyper-V; the message says which. */
export async function openHost(): Promise<KvmExecutor> {
  if (arch() !== 'x64') throw new SkippedError(`the Hyper-V hypercalls of KVM need x86-64, this is ${arch()}`);
  return KvmExecutor.open(await openLibraryHand(), 'host');
}
