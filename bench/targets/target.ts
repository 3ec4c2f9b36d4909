/** What a proxy under test has to offer, whichever it is; the job is the same for each (bench/README.md, "The same work"). */
import type { Certificates } from '../certificates.ts';
import type { Command } from '../processes.ts';
import type { Rule } from '../policy-set.ts';

export interface Stage {
  /** A folder of its own for this entrant's files. */
  readonly folder: string;
  readonly certificates: Certificates;
  /** Where to listen, on loopback, with mutual TLS. */
  readonly port: number;
  /** One more free port. */
  readonly statusPort: number;
  /** The app, plaintext HTTP/1.1 on loopback. */
  readonly upstreamPort: number;
  readonly rules: readonly Rule[];
  /** Extra options for a target that runs on Node. */
  readonly nodeOptions: string;
}

export interface Launch extends Command {
  /** The JSON access log. */
  readonly accessLog: string;
}

export interface Target {
  readonly name: string;
  /** The job in one line, for the report. */
  readonly about: string;
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
