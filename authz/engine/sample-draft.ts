/** A request being made up, attribute by attribute. */
import type { AuthzInput, Providers, Token } from './input.ts';

export class Draft {
  principal: string | null = 'spiffe://cluster.local/ns/default/sa/default';
  sourceIp = '10.0.0.1';
  remoteIp = '10.0.0.1';
  destinationIp = '10.0.0.2';
  destinationPort = 8080;
  sni: string | null = null;
  method = 'GET';
  authority = 'service.test';
  path = '/';
  query = '';
  readonly headers = new Map<string, readonly string[]>();
  readonly tokens: DraftToken[] = [];
  readonly tags: string[] = [];
  tls: boolean | null = null;
  protocol: 'http' | 'http2' | 'grpc' | null = null;
  providers: Providers | null = null;

  token(): DraftToken {
    return this.tokens[0] ?? this.addToken();
  }

  addToken(): DraftToken {
    const token: DraftToken = { issuer: 'issuer', subject: 'subject', audiences: [], presenter: null, claims: {} };
    this.tokens.push(token);
    return token;
  }

  setClaim(path: readonly string[], value: unknown): void {
    const token = this.token();
    const [first = ''] = path;
    if (path.length === 1 && first === 'iss') token.issuer = String(value);
    else if (path.length === 1 && first === 'sub') token.subject = String(value);
    let nested = value;
    for (const name of path.slice(1).toReversed()) nested = { [name]: nested };
    token.claims[first] = nested;
  }

  input(isTcp: boolean): AuthzInput {
    const {
      principal,
      sourceIp,
      remoteIp,
      destinationIp,
      destinationPort,
      sni,
      method,
      authority,
      path,
      query,
      headers,
      tokens,
    } = this;
    const connection = {
      principal,
      sourceIp,
      remoteIp,
      destinationIp,
      destinationPort,
      sni,
      tls: this.tls ?? principal !== null,
    };
    const tags = this.tags.length === 0 ? {} : { tags: this.tags };
    const providers = this.providers === null ? {} : { providers: this.providers };
    if (isTcp) return { connection: { ...connection, ...tags, protocol: 'tcp' }, request: null, ...providers };
    const fields = { values: (name: string): readonly string[] => headers.get(name) ?? [] };
    const request = { method, authority, path, ...(query === '' ? {} : { query }), fields, tokens };
    return { connection: { ...connection, ...tags, protocol: this.protocol ?? 'http' }, request, ...providers };
  }
}

interface DraftToken extends Token {
  issuer: string;
  subject: string;
  audiences: readonly string[];
  presenter: string | null;
  claims: Record<string, unknown>;
}
