/**
 * The process that fetches key sets: a child of the data process, or of a supervisor, so that neither a client of HTTP nor what it reads
 * from strangers is the data path's. Questions come over IPC (proto/key-sets.ts); it ends when it has had nothing to do for a while.
 */
import { serve } from './serve.ts';

if (process.send === undefined) {
  process.stderr.write('Cannot fetch key sets: found no parent process, wanted to be started by "postern proxy"\n');
  process.exitCode = 64;
} else {
  serve(10_000);
}
