/**
 * The codec against node:http's own parser, on random bytes: whatever the codec accepts, llhttp in its strict mode reads to the same
 * messages; and however the bytes are cut, the codec reads the same. `POSTERN_FUZZ_RUNS` and `POSTERN_FUZZ_SEED` make longer and
 * other runs.
 */
import { describe, expect, test } from 'vitest';

import { parseMessages } from '#cli/verbs/http-parse.ts';
import type { ParsedMessage } from '#cli/verbs/http-parse.ts';
import { CanonicalTarget, canonicaliseText } from '#proxy/http/canonicalise.ts';
import { parseNatively } from '#test/conformance/http/native-llhttp.ts';
import { ChunkedDecoder } from '#wire/h1/chunked.ts';
import { DEFAULT_HEAD_LIMITS, FRAMING, RequestHead, ResponseHead } from '#wire/h1/head.ts';
import { parseRequestHead } from '#wire/h1/request.ts';
import { parseResponseHead } from '#wire/h1/response.ts';

import { Random, randomRequests, randomResponses } from './h1-inputs.ts';

const RUNS = Number(process.env['POSTERN_FUZZ_RUNS'] ?? 20_000);
const SEED = Number(process.env['POSTERN_FUZZ_SEED'] ?? 20_260_101);
const TIMEOUT_MS = 60_000 + RUNS;

describe.each(['request', 'response'] as const)('%s', (kind) => {
  const inputs = kind === 'request' ? randomRequests : randomResponses;

  test(
    `llhttp reads what the codec accepts to the same messages (seed ${SEED})`,
    () => {
      const random = new Random(SEED);
      let accepted = 0;
      for (let run = 0; run < RUNS; run++) {
        const bytes = inputs(random);
        const method = kind === 'response' && random.below(5) === 0 ? 'HEAD' : 'GET';
        const isEof = random.below(2) === 0;
        const ours = parseMessages(kind, bytes, method, isEof);
        const messages = ours.ok === null ? [] : ours.messages;
        if (messages.length === 0 || messages.some(hasFramingTrailer)) continue;
        accepted++;
        const native = parseNatively(kind, bytes, method, isEof);
        if (native.error === 'HPE_INVALID_URL' && messages.some(isTargetRefused)) continue;
        const same = native.messages.slice(0, messages.length);
        if (JSON.stringify(same) !== JSON.stringify(messages)) {
          expect({ bytes: bytes.toString('latin1'), messages: same, error: native.error }).toEqual({
            bytes: bytes.toString('latin1'),
            messages,
            error: null,
          });
        }
      }
      expect(accepted).toBeGreaterThan(RUNS / 10);
    },
    TIMEOUT_MS,
  );

  test(
    `however a message is cut, it reads the same (seed ${SEED})`,
    () => {
      const random = new Random(SEED + 1);
      for (let run = 0; run < RUNS; run++) {
        const bytes = inputs(random);
        const whole = readAtOnce(kind, bytes);
        const inPieces = readInPieces(kind, bytes, random);
        if (whole !== inPieces) {
          expect({ bytes: bytes.toString('latin1'), read: inPieces }).toEqual({ bytes: bytes.toString('latin1'), read: whole });
        }
      }
    },
    TIMEOUT_MS,
  );
});

/** llhttp refuses or obeys trailers that frame; here they are taken and dropped before the rest is forwarded. */
function hasFramingTrailer(message: ParsedMessage): boolean {
  return message.trailers.some(([name]) => /^(?:content-length|transfer-encoding|connection)$/i.test(name));
}

/** Target forms are the canonicaliser's to judge; what it refuses never goes upstream. */
function isTargetRefused({ method = '', target = '' }: ParsedMessage): boolean {
  const request = { method, target, hosts: ['app.test'], authority: null, scheme: 'http' };
  return canonicaliseText(request, 'none', TARGET) !== null;
}

/** One message in one piece, as text to compare. */
function readAtOnce(kind: 'request' | 'response', bytes: Buffer): string {
  return read(kind, bytes, (at) => (at < bytes.length ? bytes.length : at));
}

/** The same bytes, of which a few more are known each time. */
function readInPieces(kind: 'request' | 'response', bytes: Buffer, random: Random): string {
  return read(kind, bytes, (at) => Math.min(bytes.length, at + 1 + random.below(12)));
}

function read(kind: 'request' | 'response', bytes: Buffer, grow: (end: number) => number): string {
  let end = grow(0);
  let bodyStart = parse(kind, bytes, end);
  while (bodyStart === 0 && end < bytes.length) {
    end = grow(end);
    bodyStart = parse(kind, bytes, end);
  }
  if (bodyStart <= 0) return `head ${bodyStart}`;
  const head = kind === 'request' ? REQUEST : RESPONSE;
  const start = `${head.start} ${bodyStart} ${head.framing} ${head.contentLength} ${head.isPersistent} ${head.fields.count}`;
  if (head.framing !== FRAMING.chunked) return start;
  DECODER.reset();
  let text = '';
  let at = bodyStart;
  for (;;) {
    while (at < end && !DECODER.isDone) {
      at = DECODER.next(bytes, at, end);
      if (at < 0) return `${start} ${text} fault ${at}`;
      text += bytes.toString('latin1', DECODER.dataStart, DECODER.dataEnd);
    }
    if (DECODER.isDone) return `${start} ${text} ends ${at} ${DECODER.trailers?.fields.count ?? 0}`;
    if (end >= bytes.length) return `${start} ${text} open`;
    end = grow(end);
  }
}

function parse(kind: 'request' | 'response', bytes: Buffer, end: number): number {
  return kind === 'request'
    ? parseRequestHead(bytes, 0, end, REQUEST, DEFAULT_HEAD_LIMITS)
    : parseResponseHead(bytes, 0, end, RESPONSE, DEFAULT_HEAD_LIMITS, 'GET');
}

const REQUEST = new RequestHead();
const RESPONSE = new ResponseHead();
const TARGET = new CanonicalTarget();
const DECODER = new ChunkedDecoder();
