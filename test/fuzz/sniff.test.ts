/**
 * What reads first bytes on random input near the formats: nothing is thrown, nothing depends on how the bytes were cut, and no answer
 * claims bytes that are not there. `POSTERN_FUZZ_RUNS` and `POSTERN_FUZZ_SEED` make longer and other runs.
 */
import { expect, test } from 'vitest';

import { readClientHello } from '#wire/sniff/client-hello.ts';
import { readFirstBytes } from '#wire/sniff/first-bytes.ts';
import { PROXY_HEADER_MAX } from '#wire/sniff/proxy-header.ts';
import { readProxyHeader } from '#wire/sniff/proxy-protocol.ts';

import { Random } from './h1-inputs.ts';
import { randomHello, randomProxyHeader, randomStart } from './sniff-inputs.ts';

const RUNS = Number(process.env['POSTERN_FUZZ_RUNS'] ?? 5000);
const SEED = Number(process.env['POSTERN_FUZZ_SEED'] ?? 20_260_301);
const TIMEOUT_MS = 60_000 + RUNS;

test.each([
  { what: 'a ClientHello', inputs: randomHello, read: readClientHello, least: 0.1 },
  { what: 'a PROXY protocol header', inputs: randomProxyHeader, read: readProxyHeader, least: 0.2 },
  { what: 'first bytes', inputs: randomStart, read: readFirstBytes, least: 0.5 },
])(
  `$what is read the same however it comes (seed ${SEED})`,
  ({ inputs, read, least }) => {
    const random = new Random(SEED);
    let taken = 0;
    for (let run = 0; run < RUNS; run++) {
      const bytes = inputs(random);
      const whole = read(bytes, 0, bytes.length);
      // Behind other bytes, and before others.
      const framed = Buffer.concat([Buffer.alloc(7, 0x16), bytes]);
      expect(read(framed, 7, framed.length)).toEqual(whole);
      let decided: unknown = 'more';
      for (let end = 0; end < bytes.length && decided === 'more'; end += 1 + random.below(40)) decided = read(bytes, 0, end);
      if (decided !== 'more' && decided !== undefined) {
        if (JSON.stringify(decided) !== JSON.stringify(whole))
          expect({ bytes: bytes.toString('hex'), decided }).toEqual({ bytes: bytes.toString('hex'), decided: whole });
      }
      if (typeof whole === 'object') {
        taken++;
        if ('length' in whole) {
          expect(whole.length).toBeLessThanOrEqual(Math.min(bytes.length, PROXY_HEADER_MAX));
          expect(read(bytes, 0, whole.length)).toEqual(whole);
        }
      } else if (whole === 'http1' || whole === 'http2' || whole === 'tls' || whole === 'proxy') taken++;
    }
    expect(taken).toBeGreaterThan(RUNS * least);
  },
  TIMEOUT_MS,
);
