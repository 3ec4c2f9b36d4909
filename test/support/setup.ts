/** Runs before each test file: refuses a Node that cannot run it, and ends what the file left running. */
import { afterAll } from 'vitest';

import { endAllProcesses } from './processes.ts';

const major = Number.parseInt(process.versions.node, 10);
if (major < 26) {
  throw new Error(
    `Cannot run the tests under Node ${process.versions.node}: Node >= 26 is wanted; run them by npm test after npm ci`,
  );
}

afterAll(endAllProcesses);
