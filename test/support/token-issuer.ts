/** An issuer of tokens for tests: keys made in memory, tokens signed by them, and the key set that verifies them. */
import { generateKeyPairSync, sign, type KeyObject } from 'node:crypto';

export type Claims = Readonly<Record<string, unknown>>;

interface IssuerKey {
  readonly kid: string;
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
}

export class TokenIssuer {
  readonly issuer: string;
  /** The newest first: it signs. */
  readonly keys: IssuerKey[] = [];

  constructor(issuer: string) {
    this.issuer = issuer;
    this.rotate();
  }

  /** A further key, which signs from now on. */
  rotate(kid = `k${this.keys.length + 1}`): void {
    this.keys.unshift({ kid, ...generateKeyPairSync('ec', { namedCurve: 'P-256' }) });
  }

  get jwks(): string {
    return JSON.stringify({
      keys: this.keys.map(({ kid, publicKey }) => ({ ...publicKey.export({ format: 'jwk' }), kid, use: 'sig', alg: 'ES256' })),
    });
  }

  /** A token that is good for an hour; a claim that is undefined is left out. */
  token(claims: Claims = {}, header: Claims = {}): string {
    const [key] = this.keys;
    if (key === undefined) throw new Error('the issuer has no key');
    const nowSeconds = Math.floor(Date.now() / 1000);
    const whole = { iss: this.issuer, sub: 'ann', aud: 'orders', iat: nowSeconds, exp: nowSeconds + 3600, ...claims };
    const signed = `${part({ alg: 'ES256', typ: 'JWT', kid: key.kid, ...header })}.${part(whole)}`;
    const signature = sign('sha256', Buffer.from(signed), { key: key.privateKey, dsaEncoding: 'ieee-p1363' });
    return `${signed}.${signature.toString('base64url')}`;
  }
}

/** A RequestAuthentication of the test's namespace with these rules. */
export function requestAuthentication(...jwtRules: readonly Claims[]): string {
  const metadata = { name: 'users', namespace: 'test' };
  return JSON.stringify({ apiVersion: 'security.istio.io/v1', kind: 'RequestAuthentication', metadata, spec: { jwtRules } });
}

function part(value: Claims): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}
