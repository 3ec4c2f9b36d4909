import { generateKeyPairSync, sign } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';

import { afterAll, expect, test } from 'vitest';

import { jwtVerify } from './jwt-verify.ts';

const folder = mkdtempSync(join(tmpdir(), 'jwt-'));
const file = join(folder, 'keys.json');
const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
writeFileSync(file, JSON.stringify({ keys: [{ ...publicKey.export({ format: 'jwk' }), kid: 'k' }] }));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const CLAIMS = { iss: 'https://idp.test', sub: 'ann', aud: 'orders', exp: 1_800_000_000 };

test('jwtVerify() answers with what a token says, or a code and its status', async () => {
  const good = token(CLAIMS);
  const { status, answers } = await run([{ id: 1, token: good }, { id: 2, token: `${good}x` }, { id: 3 }], 1_799_999_999_000);
  expect(status).toBe(65);
  expect(answers).toEqual([
    { id: 1, ok: true, issuer: 'https://idp.test', subject: 'ann', claims: CLAIMS },
    { id: 2, ok: false, code: 'jwt_malformed', status: 401, message: expect.any(String) as string },
    { id: 3, error: expect.objectContaining({ code: 'question_member' }) as object },
  ]);
  expect((await run([{ token: good }], 1_800_000_000_000)).answers).toMatchObject([{ ok: false, code: 'jwt_expired' }]);
});

test('jwtVerify() refuses a file that holds no keys', async () => {
  writeFileSync(join(folder, 'none.json'), '[]');
  await expect(run([], 0, join(folder, 'none.json'))).rejects.toThrow('found no JSON object with a list "keys"');
  await expect(run([], 0, join(folder, 'gone.json'))).rejects.toThrow('Cannot read');
});

async function run(questions: readonly object[], atMs: number, jwks = file): Promise<{ status: number; answers: unknown[] }> {
  const stdout = new PassThrough();
  const stdin = Readable.from([questions.map((each) => `${JSON.stringify(each)}\n`).join('')]);
  const options = { jwks, issuer: 'https://idp.test', audience: ['orders'], atMs };
  const status = await jwtVerify(options, { stdin, stdout, stderr: new PassThrough() });
  const text = String(stdout.read() ?? '');
  return {
    status,
    answers: text
      .split('\n')
      .filter((line) => line !== '')
      .map((line): unknown => JSON.parse(line)),
  };
}

function token(claims: object): string {
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const signed = `${part({ alg: 'ES256', kid: 'k' })}.${part(claims)}`;
  return `${signed}.${sign('sha256', Buffer.from(signed), { key: privateKey, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`;
}
