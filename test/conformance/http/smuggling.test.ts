/** The smuggling corpus at the level of the parsers: what is refused, where, and what is left of what is allowed. */
import { describe, expect, test } from 'vitest';

import { failureRow } from '#proxy/failure.ts';
import { CanonicalTarget, canonicaliseHead } from '#proxy/http/canonicalise.ts';
import { fieldPolicy, filterRequestFields } from '#proxy/http/fields.ts';
import { headFailure } from '#proxy/http/head-failure.ts';
import { ChunkedDecoder } from '#wire/h1/chunked.ts';
import { DEFAULT_HEAD_LIMITS, FRAMING, RequestHead, wireFault } from '#wire/h1/head.ts';
import { parseRequestHead } from '#wire/h1/request.ts';

import { SMUGGLING_CASES } from './smuggling.cases.ts';
import type { ForwardedRequest } from './smuggling.cases.ts';

test('the corpus has at least 200 cases with ids of their own', () => {
  expect(SMUGGLING_CASES.length).toBeGreaterThanOrEqual(200);
  expect(new Set(SMUGGLING_CASES.map((row) => row.id)).size).toBe(SMUGGLING_CASES.length);
});

describe('head faults are found before the head ends', () => {
  test.each(SMUGGLING_CASES.filter((row) => row.kind === 'head'))('$id', ({ raw, statuses }) => {
    expect(walk(raw(0))).toEqual({ statuses, requests: [], brokenBody: false });
  });
});

describe.each([0, 9])('body faults are found after %i good chunks', (goodChunks) => {
  test.each(SMUGGLING_CASES.filter((row) => row.kind === 'body'))('$id', ({ raw, statuses }) => {
    expect(walk(raw(goodChunks))).toEqual({ statuses, requests: [], brokenBody: true });
  });
});

describe('allowed requests keep their meaning', () => {
  test.each(SMUGGLING_CASES.filter((row) => row.kind === 'allowed'))('$id', ({ raw, requests, statuses }) => {
    expect(walk(raw(0))).toEqual({ statuses, requests, brokenBody: false });
  });
});

interface Walk {
  readonly statuses: number[];
  readonly requests: ForwardedRequest[];
  brokenBody: boolean;
}

/** Goes over a connection's bytes as a sidecar does. */
function walk(bytes: Buffer): Walk {
  const found: Walk = { statuses: [], requests: [], brokenBody: false };
  const head = new RequestHead();
  let at = 0;
  while (at < bytes.length) {
    const bodyStart = parseRequestHead(bytes, at, bytes.length, head, DEFAULT_HEAD_LIMITS);
    if (bodyStart === 0) break;
    if (bodyStart < 0) return refuse(found, failureRow(headFailure(wireFault(bodyStart))).http);
    if (head.hasUpgrade) return refuse(found, failureRow('upgrade_refused').http);
    const target = new CanonicalTarget();
    const failure = canonicaliseHead(head, 'base', 'http', target);
    if (failure !== null) return refuse(found, failureRow(failure).http);
    if (filterRequestFields(head, POLICY, false) !== 0) return refuse(found, failureRow('bad_field').http);
    const { method, isPersistent } = head;
    const query = bytes.toString('latin1', target.queryStart, target.queryEnd);
    const body = readBody(bytes, bodyStart, head);
    if (body === null) {
      found.brokenBody = true;
      return refuse(found, failureRow('bad_body').http);
    }
    found.requests.push({ method, target: target.path + query, body: body.text });
    found.statuses.push(200);
    at = body.end;
    if (!isPersistent) break;
  }
  return found;
}

function refuse(found: Walk, status: number): Walk {
  found.statuses.push(status);
  return found;
}

function readBody(bytes: Buffer, start: number, head: RequestHead): { text: string; end: number } | null {
  if (head.framing !== FRAMING.chunked) {
    const end = start + head.contentLength;
    return { text: bytes.toString('latin1', start, end), end };
  }
  const decoder = new ChunkedDecoder();
  let text = '';
  let at = start;
  while (at < bytes.length && !decoder.isDone) {
    at = decoder.next(bytes, at, bytes.length);
    if (at < 0) return null;
    text += bytes.toString('latin1', decoder.dataStart, decoder.dataEnd);
  }
  return { text, end: at };
}

const POLICY = fieldPolicy('allow', []);
