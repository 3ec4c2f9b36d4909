/**
 * What is measured, as data. A setup starts its entrants once; each of its scenarios then lets them take turns. The bars are
 * those of the project's charter: ratios of windows of the same rounds, never microseconds.
 */
import type { RequestKind } from './requests.ts';
import type { Job } from './targets/target.ts';

export interface Entrant {
  readonly target: string;
  readonly rules: number;
}

export type Measure = 'closed' | 'rate' | 'handshakes' | 'memory';

export interface Scenario {
  readonly name: string;
  readonly what: string;
  readonly measure: Measure;
  readonly requests: RequestKind;
  readonly status: number;
  readonly connections: number;
  /** Requests that a connection carries at a time; HTTP/2 only. */
  readonly streams: number;
  /** In `--quick` runs too. */
  readonly isQuick: boolean;
  /** Length of its windows, in parts of the run's: where ratios are of ten and more, short ones say enough. */
  readonly share: number;
  /** Whether the app without a proxy runs along, as a floor. */
  readonly withFloor: boolean;
  /** Whether a policy file is edited twice a second meanwhile. */
  readonly isEdited: boolean;
}

export interface Setup {
  readonly job: Job;
  readonly entrants: readonly Entrant[];
  readonly scenarios: readonly Scenario[];
}

export type Figure = 'cpu' | 'p50' | 'p99' | 'startCpuMs' | 'idleRssMb' | 'connectionKb';

/** `figure` of `subject` over the same of `peer` (null: the figure itself) may be `atMost`. */
export interface Bar {
  readonly scenario: string;
  readonly figure: Figure;
  readonly subject: Entrant;
  readonly peer: (Entrant & { readonly scenario?: string }) | null;
  readonly atMost: number;
}

const FIELD: readonly Entrant[] = [
  { target: 'postern', rules: 1000 },
  { target: 'envoy', rules: 10 },
  { target: 'nginx', rules: 0 },
  { target: 'haproxy', rules: 0 },
];

const QUIETLY = { measure: 'rate', connections: 8, isQuick: false } as const;

export const SETUPS: readonly Setup[] = [
  {
    job: 'http1',
    entrants: FIELD,
    scenarios: [
      scenario('h1-1k', 'HTTP/1.1 mTLS to HTTP/1.1, 1 KiB body, 100 connections, closed loop'),
      scenario('h1-headers', 'the same with 11 request fields (head of 1.3 KB)', { requests: 'headers', isQuick: false }),
      scenario('h1-100k', 'the same with bodies of 100 KiB', { requests: '100k', isQuick: false }),
      scenario('latency', '500 requests/s over 8 connections, latency from the moment a request was due', {
        measure: 'rate',
        connections: 8,
        withFloor: true,
      }),
      scenario('handshake', 'full TLS 1.3 mTLS handshake and one request per connection, 8 at a time', {
        measure: 'handshakes',
        connections: 8,
        isQuick: false,
        share: 0.5,
      }),
    ],
  },
  {
    job: 'http2',
    entrants: FIELD,
    scenarios: [
      scenario('h2-1k', 'HTTP/2 mTLS to HTTP/1.1, 1 KiB body, 8 connections of 8 streams, closed loop', { connections: 8 }),
      scenario('h2-latency', '500 requests/s over 8 HTTP/2 connections', { measure: 'rate', connections: 8 }),
    ],
  },
  {
    job: 'grpc',
    entrants: FIELD,
    scenarios: [
      scenario('grpc', 'gRPC unary over HTTP/2 on both sides, 100 bytes each way, 8 connections of 8 streams, closed loop', {
        requests: 'grpc',
        connections: 8,
      }),
    ],
  },
  {
    job: 'pair',
    entrants: FIELD,
    scenarios: [
      scenario('pair-1k', 'two proxies, HTTP/1.1 to the first, HTTP/2 mTLS between them, HTTP/1.1 to the app; CPU of both', {
        connections: 32,
      }),
    ],
  },
  {
    job: 'tcp',
    entrants: FIELD,
    scenarios: [
      scenario('tcp-10m', 'raw TCP behind mTLS, downloads of 10 MiB over 8 connections', { requests: '10m', connections: 8 }),
    ],
  },
  ...[1000, 10_000].map((rules) => ({
    job: 'http1' as const,
    entrants: [
      { target: 'postern', rules },
      { target: 'envoy', rules },
    ],
    scenarios: [
      scenario(`policy-${rules / 1000}k`, `h1-1k with ${rules} ALLOW rules, the last one matches`, { share: 0.5 }),
      scenario(`policy-${rules / 1000}k-denied`, `${rules} ALLOW rules, none matches: 403`, {
        requests: 'denied',
        status: 403,
        share: 0.5,
      }),
    ],
  })),
  {
    job: 'http1',
    entrants: [at(1000)],
    scenarios: [
      scenario('unedited', 'latency at 500 requests/s with 1,000 rules, Postern alone', QUIETLY),
      scenario('edited', 'the same while a policy file is edited and compiled twice a second, on the same core', {
        ...QUIETLY,
        isEdited: true,
      }),
    ],
  },
  {
    job: 'http1',
    entrants: [1, 1000, 10_000, 100_000].map((rules) => ({ target: 'postern', rules })),
    scenarios: [scenario('rule-count', 'h1-1k, Postern alone at four sizes of policy', { isQuick: false })],
  },
  ...(['http1', 'http2'] as const).map((job) => ({
    job,
    entrants: [
      { target: 'postern', rules: 1000 },
      { target: 'envoy', rules: 1000 },
      { target: 'nginx', rules: 0 },
      { target: 'haproxy', rules: 0 },
    ],
    scenarios: [
      scenario(
        job === 'http1' ? 'rss' : 'rss-h2',
        `memory idle, with 100 idle ${job === 'http1' ? 'mTLS' : 'HTTP/2'} connections that made one request each, and with 1,000 more`,
        { measure: 'memory', connections: 1000, isQuick: job === 'http1' },
      ),
    ],
  })),
];

const POSTERN = { target: 'postern', rules: 1000 };
const NGINX = { target: 'nginx', rules: 0 };
const HAPROXY = { target: 'haproxy', rules: 0 };
const ENVOY = { target: 'envoy', rules: 10 };

export const BARS: readonly Bar[] = [
  { scenario: 'h1-1k', figure: 'cpu', subject: POSTERN, peer: ENVOY, atMost: 0.5 },
  { scenario: 'h1-1k', figure: 'cpu', subject: POSTERN, peer: NGINX, atMost: 1.05 },
  { scenario: 'h1-1k', figure: 'cpu', subject: POSTERN, peer: HAPROXY, atMost: 1.2 },
  { scenario: 'h1-100k', figure: 'cpu', subject: POSTERN, peer: NGINX, atMost: 1 },
  { scenario: 'h2-1k', figure: 'cpu', subject: POSTERN, peer: ENVOY, atMost: 0.45 },
  { scenario: 'h2-1k', figure: 'cpu', subject: POSTERN, peer: HAPROXY, atMost: 1 },
  { scenario: 'grpc', figure: 'cpu', subject: POSTERN, peer: ENVOY, atMost: 0.25 },
  { scenario: 'grpc', figure: 'cpu', subject: POSTERN, peer: HAPROXY, atMost: 0.6 },
  { scenario: 'pair-1k', figure: 'cpu', subject: POSTERN, peer: ENVOY, atMost: 0.45 },
  { scenario: 'pair-1k', figure: 'cpu', subject: POSTERN, peer: HAPROXY, atMost: 1.1 },
  { scenario: 'tcp-10m', figure: 'cpu', subject: POSTERN, peer: NGINX, atMost: 1.11 },
  { scenario: 'h2-latency', figure: 'p50', subject: POSTERN, peer: ENVOY, atMost: 0.75 },
  { scenario: 'h2-latency', figure: 'p99', subject: POSTERN, peer: ENVOY, atMost: 0.75 },
  { scenario: 'h2-latency', figure: 'p50', subject: POSTERN, peer: NGINX, atMost: 1.1 },
  { scenario: 'h2-latency', figure: 'p99', subject: POSTERN, peer: NGINX, atMost: 1.1 },
  { scenario: 'policy-1k', figure: 'cpu', subject: POSTERN, peer: { target: 'envoy', rules: 1000 }, atMost: 0.2 },
  { scenario: 'policy-10k', figure: 'cpu', subject: at(10_000), peer: { target: 'envoy', rules: 10_000 }, atMost: 0.02 },
  { scenario: 'policy-1k-denied', figure: 'cpu', subject: POSTERN, peer: { ...POSTERN, scenario: 'policy-1k' }, atMost: 1 },
  {
    scenario: 'policy-10k-denied',
    figure: 'cpu',
    subject: at(10_000),
    peer: { ...at(10_000), scenario: 'policy-10k' },
    atMost: 1,
  },
  ...[1000, 10_000, 100_000].map((rules) => ({
    scenario: 'rule-count',
    figure: 'cpu' as const,
    subject: at(rules),
    peer: at(1),
    atMost: 1.05,
  })),
  { scenario: 'edited', figure: 'p99', subject: POSTERN, peer: { ...POSTERN, scenario: 'unedited' }, atMost: 1.1 },
  { scenario: 'latency', figure: 'p50', subject: POSTERN, peer: ENVOY, atMost: 0.75 },
  { scenario: 'latency', figure: 'p99', subject: POSTERN, peer: ENVOY, atMost: 0.75 },
  { scenario: 'latency', figure: 'p50', subject: POSTERN, peer: NGINX, atMost: 1.2 },
  { scenario: 'latency', figure: 'p99', subject: POSTERN, peer: NGINX, atMost: 1.5 },
  { scenario: 'rss', figure: 'startCpuMs', subject: POSTERN, peer: null, atMost: 400 },
  { scenario: 'rss', figure: 'idleRssMb', subject: POSTERN, peer: null, atMost: 75 },
  { scenario: 'rss', figure: 'connectionKb', subject: POSTERN, peer: null, atMost: 60 },
  { scenario: 'rss-h2', figure: 'connectionKb', subject: POSTERN, peer: null, atMost: 60 },
];

export function entrantName(entrant: Entrant): string {
  return entrant.rules === 0 ? entrant.target : `${entrant.target} ${entrant.rules} rules`;
}

function scenario(name: string, what: string, rest: Partial<Scenario> = {}): Scenario {
  return {
    name,
    what,
    measure: 'closed',
    requests: 'plain',
    status: 200,
    connections: 100,
    streams: 8,
    isQuick: true,
    share: 1,
    withFloor: false,
    isEdited: false,
    ...rest,
  };
}

function at(rules: number): Entrant {
  return { target: 'postern', rules };
}
