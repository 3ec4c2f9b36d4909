/**
 * Finds the acceptance cases that others wrote (llhttp, SPIFFE, Istio, Envoy and more), which lie outside of the repository:
 * `POSTERN_VECTORS`, else `shared/vectors` beside the checkout. Without them the tests that read them are skipped.
 *
 *     describe.skipIf(vectorsDir() === null)('llhttp', ...)
 */
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';

import { missing } from './missing.ts';

/** Absolute path of the vectors' folder, or null. With `POSTERN_PEERS=required` a missing one throws. */
export function vectorsDir(): string | null {
  const named = process.env['POSTERN_VECTORS'];
  const folder = named === undefined || named === '' ? BESIDE : resolve(named);
  return existsSync(folder) ? folder : missing('vectors', 'point POSTERN_VECTORS to the folder that holds them');
}

const BESIDE = resolve(import.meta.dirname, '../../../shared/vectors');
