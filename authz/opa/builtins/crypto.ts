/** Builtins of digests and message authentication. What makes keys, random values or certificates is not here. */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';

import { ofText, ofTwoTexts } from './builtin.ts';
import type { BuiltinTable } from './builtin.ts';

export const CRYPTO_BUILTINS: BuiltinTable = {
  'crypto.md5': ofText((text) => digest('md5', text)),
  'crypto.sha1': ofText((text) => digest('sha1', text)),
  'crypto.sha256': ofText((text) => digest('sha256', text)),
  'crypto.hmac.md5': ofTwoTexts((text, key) => mac('md5', text, key)),
  'crypto.hmac.sha1': ofTwoTexts((text, key) => mac('sha1', text, key)),
  'crypto.hmac.sha256': ofTwoTexts((text, key) => mac('sha256', text, key)),
  'crypto.hmac.sha512': ofTwoTexts((text, key) => mac('sha512', text, key)),
  'crypto.hmac.equal': ofTwoTexts((left, right) => {
    const [a, b] = [Buffer.from(left), Buffer.from(right)];
    return a.length === b.length && timingSafeEqual(a, b);
  }),
};

function digest(algorithm: string, text: string): string {
  return createHash(algorithm).update(text).digest('hex');
}

function mac(algorithm: string, text: string, key: string): string {
  return createHmac(algorithm, key).update(text).digest('hex');
}
