/** Writes Close frames (RFC 6455, section 5.5.1), the only ones that a proxy has reason to make. */

/** Status codes of RFC 6455, section 7.4.1. */
export const CLOSE_CODE = { goingAway: 1001, policyViolation: 1008 } as const;

export type CloseCode = (typeof CLOSE_CODE)[keyof typeof CLOSE_CODE];

/**
 * One whole Close frame.
 *
 * @param reason  ASCII; what is beyond 123 bytes, the room that a control frame leaves, is cut off
 * @param mask    four random bytes towards a server, null towards a client (RFC 6455, section 5.1)
 */
export function closeFrame(code: CloseCode, reason: string, mask: Uint8Array | null): Buffer {
  const text = reason.slice(0, MAX_REASON);
  const start = mask === null ? 2 : 6;
  const frame = Buffer.alloc(start + 2 + text.length);
  frame[0] = 0x88;
  frame[1] = (mask === null ? 0 : 0x80) | (2 + text.length);
  frame.writeUInt16BE(code, start);
  frame.write(text, start + 2, 'latin1');
  if (mask === null) return frame;
  frame.set(mask, 2);
  for (let index = start; index < frame.length; index++) frame[index] = (frame[index] ?? 0) ^ (mask[(index - start) & 3] ?? 0);
  return frame;
}

const MAX_REASON = 123;
