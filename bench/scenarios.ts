/**
 * What is measured, as data. A setup starts its entrants once; each of its scenarios then lets them take turns. The bars are
 * those of the project's charter: ratios of windows of the same rounds, never microseconds.
 */
import type { RequestKind } from './requests.ts';

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
  /** In `--quick` runs too. */
  readonly isQuick: boolean;
  /** Length of its windows, in parts of the run's: where ratios are of ten and more, short ones say enough. */
  readonly share: number;
  /** Whether the app without a proxy runs along, as a floor. */
  readonly withFloor: boolean;
}

export interface Setup {
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

export const SETUPS: readonly Setup[] = [
  {
    entrants: [
      { target: 'postern', rules: 1000 },
      { target: 'envoy', rules: 10 },
      { target: 'nginx', rules: 0 },
      { target: 'haproxy', rules: 0 },
    ],
    scenarios: [
      scenario('h1-1k', 'HTTP/1.1 mTLS to HTTP/1.1, 1 KiB body, 100 connections, closed loop'),
      scenario('h1-headers', 'the same with 11 request fields (head of 1.3 KB)', { requests: 'headers', isQuick: false }),
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
  ...[1000, 10_000].map((rules) => ({
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
    entrants: [10, 1000, 10_000].map((rules) => ({ target: 'postern', rules })),
    scenarios: [scenario('rule-count', 'h1-1k, Postern alone at three sizes of policy', { isQuick: false })],
  },
  {
    entrants: [
      { target: 'postern', rules: 1000 },
      { target: 'envoy', rules: 1000 },
      { target: 'nginx', rules: 0 },
      { target: 'haproxy', rules: 0 },
    ],
    scenarios: [
      scenario('rss', 'memory idle, with 100 idle mTLS connections that made one request each, and with 1,000 more', {
        measure: 'memory',
        connections: 1000,
      }),
    ],
  },
];

const POSTERN = { target: 'postern', rules: 1000 };
const NGINX = { target: 'nginx', rules: 0 };
const HAPROXY = { target: 'haproxy', rules: 0 };
const ENVOY = { target: 'envoy', rules: 10 };

export const BARS: readonly Bar[] = [
  { scenario: 'h1-1k', figure: 'cpu', subject: POSTERN, peer: ENVOY, atMost: 0.5 },
  { scenario: 'h1-1k', figure: 'cpu', subject: POSTERN, peer: NGINX, atMost: 1.05 },
  { scenario: 'h1-1k', figure: 'cpu', subject: POSTERN, peer: HAPROXY, atMost: 1.2 },
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
  { scenario: 'rule-count', figure: 'cpu', subject: at(10_000), peer: at(10), atMost: 1.1 },
  { scenario: 'latency', figure: 'p50', subject: POSTERN, peer: ENVOY, atMost: 0.75 },
  { scenario: 'latency', figure: 'p99', subject: POSTERN, peer: ENVOY, atMost: 0.75 },
  { scenario: 'latency', figure: 'p50', subject: POSTERN, peer: NGINX, atMost: 1.2 },
  { scenario: 'latency', figure: 'p99', subject: POSTERN, peer: NGINX, atMost: 1.5 },
  { scenario: 'rss', figure: 'startCpuMs', subject: POSTERN, peer: null, atMost: 400 },
  { scenario: 'rss', figure: 'idleRssMb', subject: POSTERN, peer: null, atMost: 75 },
  { scenario: 'rss', figure: 'connectionKb', subject: POSTERN, peer: null, atMost: 60 },
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
    isQuick: true,
    share: 1,
    withFloor: false,
    ...rest,
  };
}

function at(rules: number): Entrant {
  return { target: 'postern', rules };
}
