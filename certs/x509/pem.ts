/**
 * PEM blocks (RFC 7468), strict: the text between the lines is base64 and nothing else. What stands outside of blocks is explanatory
 * text and skipped, as every reader does.
 */

export interface PemBlock {
  /** `CERTIFICATE`, `PRIVATE KEY`. */
  readonly label: string;
  readonly der: Buffer;
  /** The block as it stands, with its two lines. */
  readonly text: string;
}

export type PemResult =
  | { readonly ok: true; readonly blocks: readonly PemBlock[] }
  | { readonly ok: false; readonly code: 'pem_malformed'; readonly message: string };

/** All blocks of a text in order; none is no fault. Never throws. */
export function readPem(text: string): PemResult {
  const blocks: PemBlock[] = [];
  let at = text.indexOf(BEGIN);
  while (at >= 0) {
    const labelEnd = text.indexOf(DASHES, at + BEGIN.length);
    if (labelEnd < 0) return malformed('a BEGIN line does not end in dashes');
    const label = text.slice(at + BEGIN.length, labelEnd);
    const closing = `${END}${label}${DASHES}`;
    const bodyStart = labelEnd + DASHES.length;
    const bodyEnd = text.indexOf(closing, bodyStart);
    if (bodyEnd < 0) return malformed(`the block ${JSON.stringify(label.slice(0, 40))} has no END line`);
    const body = text.slice(bodyStart, bodyEnd).replaceAll(BLANKS, '');
    if (!BASE64.test(body) || body.length % 4 !== 0) return malformed(`the block "${label}" is not base64`);
    blocks.push({ label, der: Buffer.from(body, 'base64'), text: `${text.slice(at, bodyEnd + closing.length)}\n` });
    at = text.indexOf(BEGIN, bodyEnd + closing.length);
  }
  return { ok: true, blocks };
}

/** One block, lines of 64 characters. */
export function writePem(label: string, der: Buffer): string {
  const lines = der.toString('base64').match(/.{1,64}/gv) ?? [];
  return `${BEGIN}${label}${DASHES}\n${lines.join('\n')}\n${END}${label}${DASHES}\n`;
}

function malformed(found: string): PemResult {
  return { ok: false, code: 'pem_malformed', message: `Cannot read the PEM text: ${found}` };
}

const BEGIN = '-----BEGIN ';
const END = '-----END ';
const DASHES = '-----';
const BLANKS = /[ \t\r\n]+/gv;
const BASE64 = /^[A-Za-z0-9+\/]+={0,2}$/v;
