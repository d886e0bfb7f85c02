/** Facts of a kernel that does not run. */
import { assumedFacts } from '../../../src/commands/common/assumed-facts.ts';

export const modelFacts = assumedFacts('debian:6.12');
