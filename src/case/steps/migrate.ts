/**
 * The state of the whole VM is saved and restored into a fresh VM, which goes on in its place, as a VMM does for a live
 * migration. Nothing may change by it.
 */
import { z } from 'zod';
import { note } from '../fields.ts';
import { hostStep, type StepKind } from './step-kind.ts';

const schema = z.strictObject({ do: z.literal('migrate'), note });
type MigrateStep = z.output<typeof schema>;

export const migrate = {
  ...hostStep,
  schema,
  plain: schema.parse({ do: 'migrate' }),
  mark: { name: 'migrated', none: 'no', values: ['yes', 'no'], of: () => 'yes' },
  describe: () => 'the VM migrates: its state goes into a fresh VM',
} satisfies StepKind<MigrateStep>;
