/** `bin/postern.js` under the Node at hand, under an older one, and what the data process loads by it. */
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join, resolve } from 'node:path';

import { describe, expect, onTestFinished, test } from 'vitest';

import { runProcess } from '#test/support/processes.ts';

const ROOT = resolve(import.meta.dirname, '../..');
const LAUNCHER = join(ROOT, 'bin/postern.js');
const old = await findOlderNode();

test('postern runs the command and gives its exit status', async () => {
  const version = await runProcess(process.execPath, [LAUNCHER, 'version']);
  expect(version).toMatchObject({ code: 0, stdout: `postern 0.1.0 (node ${process.versions.node})\n` });
  expect(await runProcess(process.execPath, [LAUNCHER, 'no-such-command'])).toMatchObject({ code: 64 });
});

test('postern proxy loads neither the command line nor a reader of YAML', async () => {
  const hook = `import { registerHooks } from 'node:module';
    registerHooks({ load(url, context, next) { process.stderr.write('loads ' + url + '\\n'); return next(url, context); } });`;
  const watched = ['--import', `data:text/javascript,${encodeURIComponent(hook)}`, LAUNCHER];
  const { code, stderr } = await runProcess(process.execPath, [...watched, 'proxy', '-c', '/nowhere/proxy.yaml']);
  const loaded = stderr.split('\n').filter((line) => line.startsWith('loads file:'));
  expect(loaded.filter((line) => line.endsWith('/proxy/main.ts'))).toHaveLength(1);
  expect(loaded.filter((line) => /node_modules\/(commander|zod|yaml)\//.test(line))).toStrictEqual([]);
  expect(code).toBe(78);
});

describe.skipIf(old === null)('under an older Node', () => {
  test('postern runs under the one that npm ci brought', async () => {
    const version = await runProcess(old ?? '', [LAUNCHER, 'version', '--short']);
    expect(version).toMatchObject({ code: 0, stdout: '0.1.0\n', stderr: '' });
  });

  test('postern says what to do where there is none', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'launcher-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    mkdirSync(join(folder, 'bin'));
    copyFileSync(LAUNCHER, join(folder, 'bin/postern.js'));
    writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
    const refused = await runProcess(old ?? '', [join(folder, 'bin/postern.js'), 'version']);
    expect(refused).toMatchObject({ code: 78, stdout: '' });
    expect(refused.stderr).toMatch(/^postern needs Node >= 26 \(found v\d+\.\d+\.\d+\)\. Fix: .*\n$/);
  });
});

/** The machine's own Node, when it is older than ours. */
async function findOlderNode(): Promise<string | null> {
  for (const folder of (process.env['PATH'] ?? '').split(delimiter)) {
    const { code, stdout } = await runProcess(join(folder, 'node'), ['--version']);
    if (code === 0 && Number.parseInt(stdout.slice(1), 10) < 26) return join(folder, 'node');
  }
  return null;
}
