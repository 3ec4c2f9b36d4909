/**
 * The data process: `postern proxy -c FILE`. It reads no YAML itself; a child, the preparer, gives it configuration and compiled
 * policies. Signals: SIGTERM and SIGINT drain and exit 0, SIGHUP reads every file again.
 */
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { systemClock } from '#base/clock.ts';
import { PosternError } from '#base/error.ts';
import { createLog, type Log } from '#base/log.ts';
import { FileIdentitySource } from '#certs/source/files.ts';
import type { ProxyConfig } from '#proto/config/proxy.ts';
import { formatFault } from '#proto/fault-text.ts';
import type { PrepareAnswer } from '#proto/prepare.ts';
import { ConfigWatch } from './config/config-watch.ts';
import { Preparer } from './config/preparer.ts';
import { selfTestTap } from './io/tap.ts';
import { Sidecar } from './sidecar.ts';

/** Runs until a signal ends it. `argv` is what stands behind `postern proxy`. */
export async function main(argv: readonly string[]): Promise<void> {
  const log = createLog('proxy');
  try {
    await run(argv, log);
  } catch (error) {
    if (!(error instanceof PosternError)) throw error;
    process.stderr.write(`${error.message}${error.hint === null ? '' : `\n  fix: ${error.hint}`}\n`);
    process.exitCode = error.code === 'usage' ? EXIT_USAGE : EXIT_BAD_CONFIGURATION;
  }
}

async function run(argv: readonly string[], log: Log): Promise<void> {
  const file = resolve(configPath(argv));
  const preparer = new Preparer(preparerModule());
  const answer = await preparer.prepare(file);
  if (answer.config === null) {
    throw new PosternError('bad_configuration', answer.configFaults.map(formatFault).join('\n'));
  }
  const config = answer.config;
  if (!(await selfTestTap())) log.warn('the socket tap does not work on this Node; reading by events, at a higher cost');
  const sidecar = new Sidecar(config, log);
  sidecar.usePolicy(answer);
  const stop = endsBySignal(sidecar, log);
  // Until there is something to read again it must not end us.
  let reload = (): void => {};
  process.on('SIGHUP', () => {
    sidecar.reopenLogs();
    reload();
  });
  await sidecar.serveStatus();
  const identity = await Promise.race([openIdentity(config, sidecar, log), stop]);
  if (identity === undefined) process.exit(0);
  await sidecar.useIdentity(identity.snapshot);
  await sidecar.listen();
  const prepareAgain = followPolicies(preparer, file, config, answer, sidecar, log);
  reload = () => {
    void identity.reload();
    prepareAgain();
  };
  log.info({ listeners: config.inbound.length + config.outbound.length }, 'ready');
  await stop;
  identity.close();
  preparer.close();
  process.exit(0);
}

/** Waits until there is an identity: the files may come later than we do. */
async function openIdentity(config: ProxyConfig, sidecar: Sidecar, log: Log): Promise<FileIdentitySource> {
  const { trustDomain, files } = config.identity;
  for (;;) {
    try {
      return await FileIdentitySource.open({
        files,
        trustDomain,
        clock: systemClock,
        onChange: (snapshot) =>
          void sidecar.useIdentity(snapshot).catch((error: unknown) => log.error({ error: String(error) }, 'rotation failed')),
        onRefused: (fault) => sidecar.identityRefused(fault.code, fault.message),
      });
    } catch (error) {
      if (!(error instanceof PosternError)) throw error;
      sidecar.identityRefused(error.code, error.message);
      await sleep(IDENTITY_RETRY_MS);
    }
  }
}

/** Prepares anew whenever a file changed, one preparation at a time. Returns what does so at once. */
function followPolicies(
  preparer: Preparer,
  file: string,
  config: ProxyConfig,
  first: PrepareAnswer,
  sidecar: Sidecar,
  log: Log,
): () => void {
  const running = comparable(config);
  let isPreparing = false;
  let isStale = false;
  const reload = (): void => {
    if (isPreparing) {
      isStale = true;
      return;
    }
    isPreparing = true;
    preparer
      .prepare(file)
      .then((answer) => {
        if (answer.config !== null && comparable(answer.config) !== running) {
          log.warn('the configuration file changed; listeners, identity and telemetry take effect at the next start');
        }
        sidecar.usePolicy(answer);
      })
      .catch((error: unknown) => log.error({ error: String(error) }, 'policies not read, the last good set stays in force'))
      .finally(() => {
        isPreparing = false;
        if (isStale) {
          isStale = false;
          reload();
        }
      });
  };
  const watch = new ConfigWatch({
    paths: [...new Set([file, ...config.policies.files, ...first.watched])],
    pollMs: POLL_MS,
    onChange: reload,
  });
  process.once('exit', () => watch.close());
  return reload;
}

/** Resolves once a signal came and the drain is over. A second signal ends the process at once. */
function endsBySignal(sidecar: Sidecar, log: Log): Promise<void> {
  const { promise, resolve: drained } = Promise.withResolvers<void>();
  let isDraining = false;
  const end = (signal: NodeJS.Signals): void => {
    if (isDraining) process.exit(1);
    isDraining = true;
    log.info({ signal, open: sidecar.runtime.connections.size }, 'draining');
    void sidecar.drain().then(drained);
  };
  process.on('SIGTERM', end);
  process.on('SIGINT', end);
  return promise;
}

function configPath(argv: readonly string[]): string {
  for (let i = 0; i < argv.length; i++) {
    const argument = argv[i] ?? '';
    const value =
      argument === '-c' || argument === '--config' ? argv[++i] : argument.startsWith('--config=') ? argument.slice(9) : null;
    if (typeof value === 'string' && value !== '') return value;
    throw new PosternError('usage', `Cannot start the proxy: unknown argument "${argument}"`, 'postern proxy -c FILE');
  }
  const found = [process.env['POSTERN_CONFIG'], './postern.yaml', '/etc/postern/postern.yaml'].find(
    (path) => path !== undefined && existsSync(path),
  );
  if (found !== undefined) return found;
  throw new PosternError('usage', 'Cannot start the proxy: no configuration file', 'postern proxy -c FILE');
}

/** In a checkout the preparer runs from its source, in a package from its bundle. */
function preparerModule(): string {
  const source = fileURLToPath(new URL('../cli/prepare/main.ts', import.meta.url));
  return existsSync(source) ? source : fileURLToPath(new URL('./prepare.js', import.meta.url));
}

/** The part of a configuration that a running sidecar does not take over. */
function comparable(config: ProxyConfig): string {
  return JSON.stringify({ ...config, policies: null });
}

const EXIT_USAGE = 64;
const EXIT_BAD_CONFIGURATION = 78;
const IDENTITY_RETRY_MS = 1_000;
const POLL_MS = 2_000;
