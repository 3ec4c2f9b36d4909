/** Reads the `kind: Proxy` file that a command was given. */
import { readFileSync, statSync } from 'node:fs';
import { resolve } from 'node:path';

import { MAX_FILE_BYTES } from '#authz/policy/yaml-documents.ts';
import { readProxyConfig } from '#proto/config/read.ts';
import type { ReadConfig } from '#proto/config/read.ts';

import { reasonOf } from './file-error.ts';

/** Reads and judges the file; a file that cannot be read is a fault like any other. Never throws. */
export function readConfigFile(file: string): ReadConfig {
  const refuse = (message: string): ReadConfig => ({
    config: null,
    faults: [{ file, line: 0, column: 0, code: 'PN0501', path: '', message, fix: null }],
  });
  try {
    const path = resolve(file);
    const { size } = statSync(path);
    if (size > MAX_FILE_BYTES) return refuse(`found ${size} bytes, wanted at most ${MAX_FILE_BYTES}`);
    return readProxyConfig(UTF8.decode(readFileSync(path)), file);
  } catch (error) {
    const found = error instanceof TypeError ? 'bytes that are not UTF-8' : reasonOf(error);
    return refuse(`found ${found}, wanted a file that can be read`);
  }
}

const UTF8 = new TextDecoder('utf-8', { fatal: true });
