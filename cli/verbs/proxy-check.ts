/**
 * `postern proxy --check`: judges a configuration file and the policies that it names with the code of the preparer, and says
 * what a sidecar would do. Starts nothing. Faults go to standard error, as `file:line:column: …`.
 */
import { accessSync, constants } from 'node:fs';
import { resolve } from 'node:path';

import type { ProxyConfig } from '#proto/config/proxy.ts';
import { formatFault } from '#proto/fault-text.ts';
import type { DocumentFault } from '#proto/prepare.ts';

import { findConfigFile } from '../config-search.ts';
import { EXIT, ExitError } from '../exit.ts';
import type { ExitStatus } from '../exit.ts';
import { reasonOf } from '../file-error.ts';
import { compile } from '../prepare/compile.ts';
import { prepare } from '../prepare/prepare.ts';
import type { Prepared } from '../prepare/prepare.ts';
import type { VerbStreams } from './verb.ts';

export interface ProxyCheckOptions {
  readonly config: string | undefined;
}

export async function proxyCheck(options: ProxyCheckOptions, io: VerbStreams): Promise<ExitStatus> {
  const file = findConfigFile(options.config, process.env);
  if (file === null)
    throw new ExitError(EXIT.usage, 'Cannot check the configuration: found no file', 'postern proxy --check -c FILE');

  const prepared = await prepare(resolve(file), { compile, nowMs: Date.now(), lastBundle: null, keeps: false });
  const faults = [...prepared.configFaults, ...prepared.policyFaults];
  for (const fault of faults) io.stderr.write(`${formatFault(asNamed(fault, file))}\n`);
  if (prepared.config === null || faults.length > 0) {
    io.stderr.write(`error: ${file} has ${faults.length === 1 ? 'a fault' : `${faults.length} faults`}\n`);
    return EXIT.configuration;
  }
  for (const warning of warnings(prepared, prepared.config)) io.stderr.write(`warning: ${warning}\n`);
  io.stdout.write(`${file} is valid: ${summary(prepared, prepared.config)}\n`);
  return EXIT.ok;
}

/** A fault of the file itself names it as the command line did. */
function asNamed(fault: DocumentFault, file: string): DocumentFault {
  return fault.file === resolve(file) ? { ...fault, file } : fault;
}

function summary({ policy, policyState }: Prepared, { inbound, outbound }: ProxyConfig): string {
  const listeners = `${inbound.length} inbound, ${outbound.length} outbound`;
  if (policyState === 'allow_all') return `${listeners}, everything allowed (allowAll)`;
  if (policy === null) return `${listeners}, no policies`;
  return `${listeners}, ${policy.selected} of ${policy.documents} policies for this workload, ${policy.revision}`;
}

function* warnings({ policy, policyState }: Prepared, config: ProxyConfig): Generator<string> {
  if (policyState === 'missing') yield 'there is no policy: everything would be denied and the sidecar would not be ready';
  if (policy !== null && policy.selected === 0) {
    const { whenNoneSelects } = config.policies;
    yield `no policy selects this workload: everything would be ${whenNoneSelects === 'deny' ? 'denied' : 'allowed'} (whenNoneSelects)`;
  }
  const { certificate, key, bundles } = config.identity.files;
  for (const path of [certificate, key, ...Object.values(bundles)]) {
    try {
      accessSync(path, constants.R_OK);
    } catch (error) {
      yield `"${path}" cannot be read (${reasonOf(error)}): the sidecar would not be ready before it can`;
    }
  }
}
