/** What `postern proxy` is told beside its file: a flag wins over a variable of the environment, and that over the file. */
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { PosternError } from '#base/error.ts';

export interface Settings {
  /** Of kind Proxy, absolute. */
  readonly file: string;
  /** In place of `spec.concurrency`, or null. */
  readonly concurrency: number | null;
  readonly logLevel: string;
}

/**
 * Reads `argv`, which is what stands behind `postern proxy`, and the environment.
 *
 * @throws {PosternError} with the code `usage`
 */
export function readSettings(argv: readonly string[], env: NodeJS.ProcessEnv): Settings {
  const flags = readFlags(argv);
  return {
    file: resolve(flags.get('config') ?? foundFile(env)),
    concurrency: concurrencyOf(flags.get('concurrency') ?? env['POSTERN_PROXY_CONCURRENCY']),
    logLevel: logLevelOf(flags.get('log-level') ?? env[LOG_LEVEL_VARIABLE]),
  };
}

/** The level that a worker logs at, which its supervisor has told it by the environment. */
export function workerLogLevel(env: NodeJS.ProcessEnv): string {
  return logLevelOf(env[LOG_LEVEL_VARIABLE]);
}

function readFlags(argv: readonly string[]): ReadonlyMap<string, string> {
  const flags = new Map<string, string>();
  for (let i = 0; i < argv.length; i++) {
    const argument = argv[i] ?? '';
    const [, named = '', value] = /^--([a-z-]+)(?:=(.*))?$/su.exec(argument === '-c' ? '--config' : argument) ?? [];
    const given = value ?? argv[++i];
    if (!FLAGS.includes(named) || given === undefined || given === '') {
      throw new PosternError('usage', `Cannot start the proxy: unknown argument "${argument}"`, 'postern proxy -c FILE');
    }
    flags.set(named, given);
  }
  return flags;
}

function foundFile(env: NodeJS.ProcessEnv): string {
  const places = [env['POSTERN_CONFIG'], './postern.yaml', '/etc/postern/postern.yaml'];
  const found = places.find((path) => path !== undefined && path !== '' && existsSync(path));
  if (found !== undefined) return found;
  throw new PosternError('usage', 'Cannot start the proxy: no configuration file', 'postern proxy -c FILE');
}

function concurrencyOf(text: string | undefined): number | null {
  if (text === undefined || text === '') return null;
  if (/^[1-9]\d?$/u.test(text) && Number(text) <= CONCURRENCY_MAX) return Number(text);
  throw new PosternError('usage', `Cannot use the concurrency "${text}": wanted 1 to ${CONCURRENCY_MAX}`);
}

function logLevelOf(text: string | undefined): string {
  if (text === undefined || text === '') return 'info';
  if (LOG_LEVELS.includes(text)) return text;
  throw new PosternError('usage', `Cannot use the log level "${text}": wanted ${LOG_LEVELS.join(', ')}`);
}

export const LOG_LEVEL_VARIABLE = 'POSTERN_PROXY_LOG_LEVEL';

const FLAGS = ['config', 'concurrency', 'log-level'];
const LOG_LEVELS = ['debug', 'info', 'warn', 'error'];
/** As in the schema. */
const CONCURRENCY_MAX = 64;
