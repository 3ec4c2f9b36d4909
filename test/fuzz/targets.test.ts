/** Every fuzz target for a moment, its corpus first: `npm run fuzz` goes on from here. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { expect, test } from 'vitest';

import { Random } from './h1-inputs.ts';
import { mutate } from './mutate.ts';
import { FUZZ_TARGETS } from './targets.ts';

const RUNS = Number(process.env['POSTERN_FUZZ_RUNS'] ?? 3_000);
const SEED = Number(process.env['POSTERN_FUZZ_SEED'] ?? 20_261_101);

test.each(FUZZ_TARGETS)(
  `$name keeps its promises on changed inputs (seed ${SEED})`,
  (target) => {
    const random = new Random(SEED);
    const fates = new Set<string>();
    const folder = join(import.meta.dirname, 'corpus', target.name);
    const corpus = existsSync(folder) ? readdirSync(folder).map((file) => readFileSync(join(folder, file))) : [];
    for (const input of corpus) fates.add(target.run(input, random));
    for (let run = 0; run < RUNS; run++) {
      const fresh = target.generate(random);
      const base = corpus.length > 0 && random.below(2) === 0 ? random.pick(corpus) : fresh;
      const input = random.below(4) === 0 ? fresh : mutate(random, base, fresh);
      try {
        fates.add(target.run(input, random));
      } catch (error) {
        throw new Error(`${target.name} on ${input.toString('hex')}: ${String(error)}`, { cause: error });
      }
    }
    expect(fates.size).toBeGreaterThan(3);
  },
  60_000 + RUNS,
);
