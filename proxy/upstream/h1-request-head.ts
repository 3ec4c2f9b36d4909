/** Writes request heads of HTTP/1.1 to an upstream: the caller's fields, framing of our own, and who calls. Hot path. */
import { FRAMING, type RequestHead } from '#wire/h1/head.ts';
import { copyFields, copyHead, writeText } from '#wire/h1/serialise.ts';
import type { Exchange } from '../exchange.ts';

/** Room that `writeRequestHead` needs. */
export function requestHeadRoom(head: RequestHead, exchange: Exchange): number {
  const { rewrittenTarget, addedFields, connection } = exchange;
  return head.end - head.start + rewrittenTarget.length + connection.forwardedFields.length + addedFields.length + FRAMING_ROOM;
}

/**
 * Writes the head without the empty line that ends it.
 *
 * @param out  has `requestHeadRoom` bytes from `at`
 * @returns the offset after what was written
 */
export function writeRequestHead(head: RequestHead, exchange: Exchange, out: Buffer, at: number): number {
  let end = at;
  if (exchange.rewrittenTarget === '' && head.minor === 1) {
    end = copyHead(head, out, end);
  } else {
    const target =
      exchange.rewrittenTarget === ''
        ? head.bytes.toString('latin1', head.targetStart, head.targetEnd)
        : exchange.rewrittenTarget;
    end = copyFields(head, out, writeText(out, end, `${exchange.method} ${target} HTTP/1.1\r\n`));
  }
  if (head.framing === FRAMING.length) end = writeText(out, end, `content-length: ${head.contentLength}\r\n`);
  else if (head.framing === FRAMING.chunked) end += CHUNKED.copy(out, end);
  end += exchange.connection.forwardedFields.copy(out, end);
  return writeText(out, end, exchange.addedFields);
}

/** For the framing, the lines of a WebSocket handshake, and the empty line. */
const FRAMING_ROOM = 256;
const CHUNKED = Buffer.from('transfer-encoding: chunked\r\n', 'latin1');
