/**
 * What a test needs and this machine lacks. Such tests are skipped and the lack is told at the end of the run; with
 * `POSTERN_PEERS=required` (as in CI) it is a failure instead, so that no green run hides a test that never ran.
 */
import { appendFileSync } from 'node:fs';

/**
 * Notes that something is missing, and answers null for the caller to skip by.
 *
 * @param what  for people: `peer envoy`, `vectors`, `root`
 * @throws {Error} when nothing may be missing
 */
export function missing(what: string, hint: string): null {
  if (process.env['POSTERN_PEERS'] === 'required') {
    throw new Error(`Cannot run these tests without "${what}": POSTERN_PEERS=required and it was not found; ${hint}`);
  }
  const noteFile = process.env['POSTERN_TEST_MISSING'];
  if (noteFile !== undefined && noteFile !== '') appendFileSync(noteFile, `${what}\t${hint}\n`);
  return null;
}
