/** Where the programs of the demo are: the command itself, the apps, the load. */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { PosternError } from '#base/error.ts';

/** The source of an app, as it is run. */
export function appFile(name: string): string {
  return join(ROOT, 'cli', 'demo', 'apps', `${name}.js`);
}

/** The demo is part of a checkout; an image of the sidecar does not carry it. */
export function requirePrograms(): void {
  const missing = [appFile('web'), LOAD].find((file) => !existsSync(file));
  if (missing === undefined) return;
  throw new PosternError(
    'demo_absent',
    `Cannot run the demo: found no "${missing}", wanted a checkout`,
    'in a checkout: npm ci && npm start',
  );
}

/** The folder that holds bin/. */
function findRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'bin', 'postern.js')) && dirname(folder) !== folder) folder = dirname(folder);
  return folder;
}

export const ROOT = findRoot();
export const POSTERN = join(ROOT, 'bin', 'postern.js');
export const LOAD = join(ROOT, 'cli', 'demo', 'load', 'main.ts');
