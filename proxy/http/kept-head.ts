/**
 * Copies of request heads that outlive the call that brought them: until the read they came with is over, so that a stream that is
 * reset in the same read costs nobody anything, and to the end of the exchange, so that it can be judged or sent again.
 * Hot path.
 */
import { RequestHead, type HeadLimits } from '#wire/h1/head.ts';
import { parseRequestHead } from '#wire/h1/request.ts';
import type { HeadSource } from '../revoke/judge.ts';

/** The bytes of one head at a time, in HTTP/1.1 layout. */
export class KeptHead implements HeadSource {
  #bytes = NOTHING;
  #length = 0;

  /** Copies `head`; the result is valid until it is given to `freeHead`. */
  keep(head: RequestHead): RequestHead {
    const length = head.end - head.start;
    if (this.#bytes.length < length) this.#bytes = Buffer.allocUnsafeSlow(length + ROOM);
    head.bytes.copy(this.#bytes, 0, head.start, head.end);
    this.#length = length;
    const copy = free.pop() ?? new RequestHead();
    copyHead(head, copy, this.#bytes);
    return copy;
  }

  /** Reads the head once more into a record that is to be given to `freeHead`; null when it can't be. */
  again(limits: HeadLimits): RequestHead | null {
    const copy = free.pop() ?? new RequestHead();
    if (parseRequestHead(this.#bytes, 0, this.#length, copy, limits) === this.#length) return copy;
    freeHead(copy);
    return null;
  }

  freed(head: RequestHead): void {
    freeHead(head);
  }

  compact(): void {
    // It holds no more than the head.
  }
}

/** Gives back a record that nobody reads any more. */
export function freeHead(head: RequestHead): void {
  head.bytes = NOTHING;
  if (free.length < FREE_MAX) free.push(head);
}

/** Makes `to` say the same as `from`, dropped fields included, its offsets those of `bytes`, which begin where `from` begins. */
export function copyHead(from: RequestHead, to: RequestHead, bytes: Buffer): void {
  const { start } = from;
  to.bytes = bytes;
  to.start = 0;
  to.fieldsStart = from.fieldsStart - start;
  to.end = from.end - start;
  to.framing = from.framing;
  to.contentLength = from.contentLength;
  to.method = from.method;
  to.targetStart = from.targetStart - start;
  to.targetEnd = from.targetEnd - start;
  to.hostIndex = from.hostIndex;
  to.hostCount = from.hostCount;
  to.expectsContinue = from.expectsContinue;
  to.minor = from.minor;
  to.isPersistent = from.isPersistent;
  to.hasConnectionOptions = from.hasConnectionOptions;
  to.hasUpgrade = from.hasUpgrade;
  const { count, dropped, ids, ranges } = from.fields;
  to.fields.count = count;
  to.fields.hasUnderscore = from.fields.hasUnderscore;
  for (let index = 0; index < 4 * count; index++) to.fields.ranges[index] = (ranges[index] ?? 0) - start;
  for (let index = 0; index < count; index++) {
    to.fields.ids[index] = ids[index] ?? 0;
    to.fields.dropped[index] = dropped[index] ?? 0;
  }
}

/** Most heads are not longer, so that the next one of the same stream finds room. */
const ROOM = 128;
/** Of 10 kB each; a read that brings more heads than that makes new ones. */
const FREE_MAX = 64;
const NOTHING: Buffer = Buffer.alloc(0);
const free: RequestHead[] = [];
