/**
 * Sessions and the HPACK decoder on random input: nothing is thrown, nothing grows beyond its bound, what is read does not depend
 * on how it was cut, and every head that is taken is the same one to the reader of HTTP/1.1. `POSTERN_FUZZ_RUNS` and
 * `POSTERN_FUZZ_SEED` make longer and other runs.
 */
import { expect, test } from 'vitest';

import { outputOf, Recorder, server } from '#test/conformance/h2/raw-peer.ts';
import { FieldTable, DEFAULT_HEAD_LIMITS, RequestHead } from '#wire/h1/head.ts';
import { parseRequestHead } from '#wire/h1/request.ts';
import { wireFault } from '#wire/h1/head.ts';
import { DEFAULT_H2_LIMITS } from '#wire/h2/limits.ts';
import { DecodedFields } from '#wire/h2/hpack/decoded-fields.ts';
import { HpackDecoder } from '#wire/h2/hpack/decoder.ts';
import { H2Session } from '#wire/h2/session.ts';

import { Random } from './h1-inputs.ts';
import { randomBlock, randomClient, randomServer } from './h2-inputs.ts';

const RUNS = Number(process.env['POSTERN_FUZZ_RUNS'] ?? 5000);
const SEED = Number(process.env['POSTERN_FUZZ_SEED'] ?? 20_260_301);
const TIMEOUT_MS = 60_000 + RUNS;

test.each([
  { role: 'server', inputs: randomClient, event: 'request' },
  { role: 'client', inputs: randomServer, event: 'response' },
] as const)(
  `a $role reads the same however its bytes are cut, and stays within its bounds (seed ${SEED})`,
  ({ role, inputs, event }) => {
    const random = new Random(SEED);
    let heads = 0;
    for (let run = 0; run < RUNS; run++) {
      const bytes = inputs(random);
      const whole = read(role, bytes, () => bytes.length);
      const cut = read(role, bytes, () => 1 + random.below(30));
      if (cut !== whole)
        expect({ bytes: bytes.toString('hex'), read: cut }).toEqual({ bytes: bytes.toString('hex'), read: whole });
      if (whole.includes(event)) heads++;
    }
    expect(heads).toBeGreaterThan(RUNS / 4);
  },
  TIMEOUT_MS,
);

test(
  `a request that is taken is one of HTTP/1.1 with the same fields (seed ${SEED})`,
  () => {
    const random = new Random(SEED + 1);
    const again = new RequestHead();
    let heads = 0;
    for (let run = 0; run < RUNS; run++) {
      const { recorder, session } = server();
      recorder.onHead = (_stream, head) => {
        heads++;
        const end = parseRequestHead(head.bytes, head.start, head.end, again, DEFAULT_HEAD_LIMITS);
        const text = head.bytes.toString('latin1', head.start, head.end);
        expect({ text, fault: end < 0 ? wireFault(end) : null }).toEqual({ text, fault: null });
        expect(end).toBe(head.end);
        expect(again.method).toBe('method' in head ? head.method : '');
        const entries = 4 * head.fields.count;
        expect(again.fields.ranges.subarray(0, entries)).toEqual(head.fields.ranges.subarray(0, entries));
        expect(again.fields.ids.subarray(0, again.fields.count)).toEqual(head.fields.ids.subarray(0, head.fields.count));
        expect(again.fields.hasUnderscore).toBe(head.fields.hasUnderscore);
      };
      const bytes = randomClient(random).subarray(42);
      session.receive(bytes, 0, bytes.length);
    }
    expect(heads).toBeGreaterThan(RUNS / 3);
  },
  TIMEOUT_MS,
);

test(
  `the HPACK decoder takes or refuses any bytes, within its table (seed ${SEED})`,
  () => {
    const random = new Random(SEED + 2);
    const fields = new DecodedFields();
    const table = new FieldTable();
    let decoder = new HpackDecoder();
    let taken = 0;
    for (let run = 0; run < 4 * RUNS; run++) {
      const bytes = randomBlock(random);
      fields.begin(table, 0, random.below(2) === 0, DEFAULT_H2_LIMITS);
      const fault = decoder.decode(bytes, 0, bytes.length, fields);
      if (fault === null) taken++;
      else decoder = new HpackDecoder();
      expect(decoder.table.count).toBeLessThanOrEqual(128);
      expect(decoder.table.bytes.length).toBeLessThanOrEqual(16_384);
    }
    expect(taken).toBeGreaterThan(RUNS / 4);
  },
  TIMEOUT_MS,
);

/** Everything that a session told and said, as text, and its bounds looked at on the way. */
function read(role: 'server' | 'client', bytes: Buffer, length: () => number): string {
  const recorder = new Recorder();
  const roles = role === 'server' ? ({ server: recorder, client: null } as const) : ({ server: null, client: recorder } as const);
  const session = new H2Session<string>(roles, DEFAULT_H2_LIMITS, 0);
  recorder.session = session;
  for (const method of role === 'client' ? ['GET', 'POST', 'HEAD', 'GET', 'CONNECT', 'POST'] : []) session.open('', method);
  for (let at = 0; at < bytes.length;) {
    const end = Math.min(bytes.length, at + length());
    session.receive(bytes, at, end);
    at = end;
  }
  expect(session.openStreams).toBeLessThanOrEqual(DEFAULT_H2_LIMITS.concurrentStreams);
  expect(session.waitingBytes).toBeLessThan(64 * 1024);
  // Pieces of content may be cut as their bytes were.
  const events: string[] = [];
  for (const event of recorder.events) {
    const [kind, id, size] = event.split(' ');
    const last = events.at(-1)?.split(' ');
    if (kind === 'data' && last?.[0] === 'data' && last[1] === id) events.pop();
    const before = kind === 'data' && last?.[0] === 'data' && last[1] === id ? Number(last[2]) : 0;
    events.push(kind === 'data' ? `data ${id} ${before + Number(size)}` : event);
  }
  return `${events.join('\n')}\n${outputOf(session)?.toString('hex') ?? ''}`;
}
