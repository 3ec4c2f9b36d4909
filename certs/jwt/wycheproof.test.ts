/** Wycheproof's tokens, keys and signatures: what is invalid is refused; of what is valid only symmetric keys are, which we never take. */
import { createPublicKey, type webcrypto } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { compactVerify, importJWK } from 'jose';
import { describe, expect, test } from 'vitest';

import { vectorsDir } from '#test/support/vectors.ts';

import { ALGORITHMS, algorithmOf } from './algorithms.ts';
import { readCompactJws } from './compact-jws.ts';
import { readKeySet } from './key-set.ts';
import { proveSignature } from './verify-token.ts';

interface TokenCase {
  readonly tcId: number;
  readonly comment: string;
  readonly jws: unknown;
  readonly result: 'valid' | 'invalid';
}

interface TokenGroup {
  readonly comment: string;
  readonly public?: webcrypto.JsonWebKey;
  readonly private?: webcrypto.JsonWebKey;
  readonly tests: readonly TokenCase[];
}

interface SignatureGroup {
  readonly publicKeyPem: string;
  readonly tests: readonly {
    readonly tcId: number;
    readonly msg: string;
    readonly sig: string;
    readonly result: string;
    readonly comment: string;
  }[];
}

const folder = vectorsDir();

describe.skipIf(folder === null)('tokens', () => {
  test.each(['json_web_signature_test', 'json_web_key_test', 'json_web_crypto_test'])('%s', async (file) => {
    // Encrypted tokens are none of ours.
    const groups = read<TokenGroup>(file).filter(({ comment }) => !comment.startsWith('jwe'));
    const wrong: string[] = [];
    const symmetric: number[] = [];
    let stricter = 0;
    let compared = 0;
    for (const group of groups) {
      const key = group.public ?? group.private;
      const set = key === undefined ? null : readKeySet(JSON.stringify('keys' in key ? key : { keys: [withoutSecret(key)] }));
      for (const { tcId, comment, jws, result } of group.tests) {
        const parsed = typeof jws === 'string' ? readCompactJws(jws) : 'jwt_malformed';
        const found = typeof parsed === 'string' ? parsed : proveSignature(parsed, set, null);
        const isTaken = found === null;
        if (result === 'valid' && !isTaken && isSymmetric(group)) symmetric.push(tcId);
        else if (result === 'valid' && !isTaken && STRICTER.has(tcId) && file === 'json_web_signature_test') stricter++;
        else if (isTaken !== (result === 'valid'))
          wrong.push(`${group.comment} ${tcId} ${comment}: ${result}, found ${found ?? 'taken'}`);
        // A second opinion wherever the key is one that both take.
        if (typeof jws === 'string' && set?.keys.length === 1 && group.public !== undefined && !('keys' in group.public)) {
          const theirs = await joseTakes(jws, group.public);
          if (isTaken && !theirs) wrong.push(`${tcId}: jose refuses it`);
          compared++;
        }
      }
    }
    expect(wrong).toEqual([]);
    console.log(
      `figure: ${file}: all right, ${symmetric.length} valid but symmetric and so refused, ${stricter} stricter, ${compared} compared with jose`,
    );
  });
});

describe.skipIf(folder === null)('signatures', () => {
  test.each([
    ['RS256', 'rsa_signature_2048_sha256_test', (signature: Buffer) => signature],
    ['PS256', 'rsa_pss_2048_sha256_mgf1_32_test', (signature: Buffer) => signature],
    ['Ed25519', 'ed25519_test', (signature: Buffer) => signature],
  ] as const)('%s', (name, file, asJws) => {
    const algorithm = algorithmOf(name);
    const wrong: string[] = [];
    let all = 0;
    for (const { publicKeyPem, tests } of read<SignatureGroup>(file)) {
      const key = createPublicKey(publicKeyPem);
      for (const { tcId, msg, sig, result, comment } of tests) {
        if (algorithm === null || !algorithm.fits(key)) continue;
        all++;
        const isTaken = algorithm.verify(key, Buffer.from(msg, 'hex'), asJws(Buffer.from(sig, 'hex')));
        if (result !== 'acceptable' && isTaken !== (result === 'valid')) wrong.push(`${tcId} ${comment}: ${result}`);
      }
    }
    expect(wrong).toEqual([]);
    expect(all).toBeGreaterThan(50);
  });
});

test('every algorithm has a name of its own, and none is symmetric', () => {
  const names = ALGORITHMS.map(({ name }) => name);
  expect(new Set(names).size).toBe(names.length);
  expect(names.filter((name) => name.startsWith('HS') || name === 'none')).toEqual([]);
});

/** The key says PS256 and the token PS384, or the key names an algorithm that does not exist (ES521): jose refuses these as well. */
const STRICTER = new Set([346, 347, 350, 351]);

function isSymmetric({ public: shown, private: secret }: TokenGroup): boolean {
  const key: { kty?: string; keys?: { kty?: string }[] } = shown ?? secret ?? {};
  return key.kty === 'oct' || key.keys?.some(({ kty }) => kty === 'oct') === true;
}

/** A group that gives a private key alone means its public half. */
function withoutSecret(key: webcrypto.JsonWebKey): webcrypto.JsonWebKey {
  return Object.fromEntries(Object.entries(key).filter(([name]) => !['d', 'p', 'q', 'dp', 'dq', 'qi'].includes(name)));
}

async function joseTakes(jws: string, jwk: webcrypto.JsonWebKey): Promise<boolean> {
  try {
    await compactVerify(jws, await importJWK({ ...jwk }));
    return true;
  } catch {
    return false;
  }
}

function read<Group>(name: string): readonly Group[] {
  const text = readFileSync(join(folder ?? '', 'wycheproof', `${name}.json`), 'utf8');
  return (JSON.parse(text) as { testGroups: Group[] }).testGroups; // the files' own schema
}
