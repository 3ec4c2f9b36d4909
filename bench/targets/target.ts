/** What a proxy under test has to offer, whichever it is; the job is the same for each (bench/README.md, "The same work"). */
import type { Certificates } from '../certificates.ts';
import type { Command } from '../processes.ts';
import type { Rule } from '../policy-set.ts';

/**
 * What is asked of a proxy: HTTP/1.1 in, HTTP/2 in, gRPC (HTTP/2 in and out), raw TCP in, all over mutual TLS; or `pair`: two
 * proxies, plaintext HTTP/1.1 into the first, mutual TLS between them, the second before the app.
 */
export type Job = 'http1' | 'http2' | 'grpc' | 'tcp' | 'pair';

export interface Stage {
  readonly job: Job;
  /** A folder of its own for this entrant's files. */
  readonly folder: string;
  readonly certificates: Certificates;
  /** Where to listen, on loopback: with mutual TLS, or in plaintext when it is the first of a pair. */
  readonly port: number;
  /** Where the second of a pair listens, with mutual TLS. */
  readonly peerPort: number;
  /** More free ports, one for each proxy. */
  readonly statusPort: number;
  readonly peerStatusPort: number;
  /** The app, plaintext on loopback: HTTP/2 for gRPC, else HTTP/1.1. */
  readonly upstreamPort: number;
  readonly rules: readonly Rule[];
  /** Extra options for a target that runs on Node. */
  readonly nodeOptions: string;
}

export interface Launch extends Command {
  /** The JSON access log. */
  readonly accessLog: string;
  /** A file of policies that may be changed while it runs, by another comment at its end. */
  readonly policyFile?: string;
}

export interface Target {
  readonly name: string;
  /** The job in one line, for the report. */
  readonly about: string;
  readonly jobs: readonly Job[];
  /** Null when it can run here, else why not. */
  missing(): string | null;
  version(): string;
  /** Its start is prepared by a process that ends by itself a little later. */
  readonly hasPassingHelpers?: boolean;
  /** Builds what it needs, once per run, in a folder of its own. */
  setUp?(folder: string): void;
  /** Writes its configuration and says how to start. */
  prepare(stage: Stage): Launch;
}

/** Two proxies as one command, so that their cost is counted together; a signal to the one ends both. */
export function asPair(first: readonly string[], second: readonly string[]): string[] {
  const quoted = [second, first].map((command) => command.map((word) => `'${word}'`).join(' '));
  return ['sh', '-c', `${quoted[0]} & b=$!; ${quoted[1]} & a=$!; trap 'kill $a $b' TERM; wait $a; wait $a; wait $b`];
}
