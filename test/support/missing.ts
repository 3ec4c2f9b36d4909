/**
 * What a test needs and this machine lacks. Such tests are skipped and the lack is told at the end of the run; with
 * `POSTERN_PEERS=required` (as in CI) it is a failure instead, so that no green run hides a test that never ran. What is rare, because it
 * takes long to build, fails with `POSTERN_PEERS=all` only.
 */
import { appendFileSync } from 'node:fs';

/**
 * Notes that something is missing, and answers null for the caller to skip by.
 *
 * @param what  for people: `peer envoy`, `vectors`, `root`
 * @throws {Error} when nothing may be missing
 */
export function missing(what: string, hint: string, isRare = false): null {
  const wanted = process.env['POSTERN_PEERS'];
  if (wanted === 'all' || (wanted === 'required' && !isRare)) {
    throw new Error(`Cannot run these tests without "${what}": POSTERN_PEERS=${wanted} and it was not found; ${hint}`);
  }
  const noteFile = process.env['POSTERN_TEST_MISSING'];
  if (noteFile !== undefined && noteFile !== '') appendFileSync(noteFile, `${what}\t${hint}\n`);
  return null;
}
