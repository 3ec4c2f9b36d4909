#!/usr/bin/env node
/**
 * Starts `postern` under Node 26, whatever Node was called: plain JavaScript without static imports, so that an old Node reads
 * it far enough to look for a newer one or to say what to do. In a checkout the TypeScript runs as it is; a package or an image
 * has the bundles in dist/ instead.
 */

const MAJOR = 26;
const ROOT = new URL('../', import.meta.url);

const status = Number.parseInt(process.versions.node, 10) >= MAJOR ? await run() : await runUnderNewerNode();
// A command that runs on may have set a status of its own.
if (status > 0) process.exitCode = status;

/** @returns {Promise<number>} the exit status */
async function run() {
  const { existsSync } = await import('node:fs');
  const source = new URL('cli/main.ts', ROOT);
  const { main } = await import(existsSync(source) ? source.href : new URL('dist/cli.js', ROOT).href);
  return main(process.argv.slice(2));
}

async function runUnderNewerNode() {
  const binary = await findNewerNode();
  if (binary === null) {
    console.error(
      `postern needs Node >= ${MAJOR} (found ${process.version}). Fix: npm ci in the checkout, or npx -p node@${MAJOR} -p postern postern`,
    );
    return 78;
  }
  const args = [...process.execArgv, ...process.argv.slice(1)];
  if (typeof process.execve === 'function') process.execve(binary, [binary, ...args], process.env);
  return runChild(binary, args);
}

/** The binary of the npm package `node`, in the folder of dependencies nearest to this file. */
async function findNewerNode() {
  const { existsSync, readFileSync } = await import('node:fs');
  const { fileURLToPath } = await import('node:url');
  for (let folder = ROOT, above = null; folder.href !== above; above = folder.href, folder = new URL('../', folder)) {
    const home = new URL('node_modules/node/', folder);
    const binary = new URL('bin/node', home);
    if (!existsSync(binary) || !existsSync(new URL('package.json', home))) continue;
    const { version } = JSON.parse(readFileSync(new URL('package.json', home), 'utf8'));
    if (Number.parseInt(version, 10) >= MAJOR) return fileURLToPath(binary);
  }
  return null;
}

/** For a Node that cannot replace its own process: the child gets our signals, we end as it ends. */
async function runChild(binary, args) {
  const { spawn } = await import('node:child_process');
  const child = spawn(binary, args, { stdio: 'inherit' });
  for (const signal of ['SIGTERM', 'SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGUSR2']) {
    // A terminal sends Ctrl-C to both of us.
    const fromTerminal = process.stdin.isTTY && (signal === 'SIGINT' || signal === 'SIGQUIT');
    process.on(signal, () => fromTerminal || child.kill(signal));
  }
  return new Promise((settle) => {
    child.once('error', (error) => {
      console.error(`Cannot start "${binary}": ${error.message}`);
      settle(78);
    });
    child.once('exit', (code, signal) => {
      if (signal === null) return settle(code);
      process.removeAllListeners(signal);
      process.kill(process.pid, signal);
    });
  });
}
