/** Writes request bodies of HTTP/1.1 to an upstream, with a length or in chunks. Hot path. */
import type { Trailers } from '#wire/h1/chunked.ts';
import { copyTrailers, writeChunkHeader } from '#wire/h1/serialise.ts';
import { scratch, type Outlet } from '../io/outlet.ts';

export function writeRequestBody(outlet: Outlet, isChunked: boolean, bytes: Buffer, start: number, end: number): void {
  if (end === start) return;
  if (!isChunked) {
    outlet.append(bytes, start, end);
    return;
  }
  const at = outlet.reserve(CHUNK_HEADER_MAX);
  outlet.commit(writeChunkHeader(scratch, at, end - start));
  outlet.append(bytes, start, end);
  outlet.append(CRLF, 0, 2);
}

/** Ends a body; `trailers` are filtered and pass only in chunks. */
export function writeRequestEnd(outlet: Outlet, isChunked: boolean, trailers: Trailers | null): void {
  if (!isChunked) return;
  outlet.append(LAST_CHUNK, 0, LAST_CHUNK.length);
  if (trailers !== null) {
    const at = outlet.reserve(trailers.end);
    outlet.commit(copyTrailers(trailers, scratch, at));
  }
  outlet.append(CRLF, 0, 2);
}

const CHUNK_HEADER_MAX = 16;
const CRLF = Buffer.from('\r\n', 'latin1');
const LAST_CHUNK = Buffer.from('0\r\n', 'latin1');
