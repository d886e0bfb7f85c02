import { expect, it } from 'vitest';
import { KvmExecutor } from '../../../src/executor/kvm-executor.ts';
import { decodeScript, type DecodedOperation } from '../../hand/decode.ts';
import { QuietHand } from '../../hand/quiet-hand.ts';

/** VMs that exist behind these operations; a hand refuses to make one twice. */
function vmsBehind(operations: readonly DecodedOperation[]): number[] {
  const vms = new Set<number>();
  for (const { name, fields } of operations) {
    const vm = fields['vm'] as number;
    if (name === 'createVm') {
      if (vms.has(vm)) throw new Error(`VM ${vm} is in use`);
      vms.add(vm);
    }
    if (name === 'dropVm') vms.delete(vm);
    if (name === 'reset') for (const each of vms) if (each >= (fields['firstVm'] as number)) vms.delete(each);
  }
  return [...vms];
}

it('should leave nothing behind in a hand, which a library keeps for the next executor of the process', async () => {
  const hand = new QuietHand();
  const operations = () => hand.scripts.flatMap((script) => decodeScript(script));
  const executor = await KvmExecutor.open(hand, 'host', { holdsSpareVms: true });
  expect(vmsBehind(operations())).not.toEqual([]);
  await executor[Symbol.asyncDispose]();
  expect(vmsBehind(operations())).toEqual([]);
  await KvmExecutor.open(hand, 'host', { holdsSpareVms: true });
  expect(vmsBehind(operations())).not.toEqual([]);
});
