import { describe, expect, it } from 'vitest';
import { handLimits } from '../../../../src/hand/operations.ts';
import { Script } from '../../../../src/hand/script.ts';
import { Slots } from '../../../../src/machine/vm/slots.ts';
import { decodeScript } from '../../../hand/decode.ts';

const content = () => Buffer.from([1]);

describe('Slots', () => {
  it('should keep content once, and again when all slots are empty', () => {
    const [slots, script] = [new Slots(), new Script()];
    const first = slots.of(script, 'a', content);
    expect(slots.of(script, 'a', content)).toBe(first);
    expect(slots.of(script, 'b', content)).not.toBe(first);
    slots.clear();
    slots.of(script, 'a', content);
    const kept = decodeScript(script.finish()).filter(({ name }) => name === 'keep');
    expect(kept).toHaveLength(3);
  });

  it('should fill before everything else no slot that an operation of the same script may still use', () => {
    const [slots, script] = [new Slots(), new Script()];
    const filledByHand = slots.reserve();
    slots.release(filledByHand);
    expect(slots.of(script, 'a', content)).not.toBe(filledByHand);
    expect(slots.reserve()).toBe(filledByHand);
  });

  it('should say so when there are no more', () => {
    const slots = new Slots();
    for (let count = 0; count < handLimits.slots; count++) slots.reserve();
    expect(() => slots.reserve()).toThrow(`a hand has ${handLimits.slots} slots`);
  });
});
