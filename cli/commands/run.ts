/** `postern demo` and `postern proxy`. */
import type { Command } from 'commander';

import { EXIT, ExitError } from '../exit.ts';
import type { CommandContext } from '../program.ts';

export function addRunCommands(program: Command, { io, finish }: CommandContext): void {
  program
    .command('demo')
    .description('Run a small mesh on this machine and tell what happens')
    .option('--assert', 'end after the story; non-zero when a line of it is not true')
    .action(async (options: { assert?: true }) => {
      const { main } = await import('../demo/main.ts');
      finish(await main(options.assert === true ? ['--assert'] : []));
    });

  program
    .command('proxy')
    .description('Run a sidecar from a file')
    .option('-c, --config <file>', 'file of kind Proxy (default: $POSTERN_CONFIG, ./postern.yaml, /etc/postern/postern.yaml)')
    .option('--concurrency <n>', 'data processes, in place of spec.concurrency ($POSTERN_PROXY_CONCURRENCY)')
    .option('--log-level <level>', 'debug, info, warn or error ($POSTERN_PROXY_LOG_LEVEL)')
    .option('--check', 'judge the file and its policies, and end: 0, or 78 with file:line:column of each fault')
    .addHelpText('after', EXAMPLES)
    .action(async (options: { config?: string; concurrency?: string; logLevel?: string; check?: true }) => {
      if (options.check === true) {
        const { proxyCheck } = await import('../verbs/proxy-check.ts');
        finish(await proxyCheck({ config: options.config }, io));
        return;
      }
      const { main } = await import('#proxy/main.ts');
      const flags = { config: options.config, concurrency: options.concurrency, 'log-level': options.logLevel };
      await main(Object.entries(flags).flatMap(([name, value]) => (value === undefined ? [] : [`--${name}=${value}`])));
      // The proxy sets it when its configuration is refused.
      const status = Number(process.exitCode ?? EXIT.ok);
      if (!Number.isSafeInteger(status)) throw new ExitError(EXIT.internal, `Cannot end with the status "${status}"`);
      finish(status);
    });
}

const EXAMPLES = `
Examples:
  postern proxy -c proxy.yaml            run until SIGTERM, which drains; SIGHUP reads again, SIGUSR2 upgrades
  postern proxy -c proxy.yaml --check    judge the file only
  postern schema config > proxy.json     schema for your editor`;
