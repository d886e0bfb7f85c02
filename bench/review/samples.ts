/** All samples, by area. */
import { areas, type ReviewSample } from './sample.ts';
import { apicvSamples } from './samples/apicv.ts';
import { elsewhereSamples } from './samples/elsewhere.ts';
import { ipiPathSamples } from './samples/ipi-path.ts';
import { lapicSamples } from './samples/lapic.ts';
import { offerSamples } from './samples/offers.ts';

const all: readonly ReviewSample[] = [
  ...ipiPathSamples,
  ...lapicSamples,
  ...apicvSamples,
  ...elsewhereSamples,
  ...offerSamples,
];

export const reviewSamples = areas.flatMap((area) => all.filter((sample) => sample.area === area));
