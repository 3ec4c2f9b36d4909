/**
 * The preparer: a child of the data process (proxy/config/preparer.ts) that holds the YAML reader, the schema and the compiler,
 * so that the data process need not. It opens no socket, and writes nothing but what it keeps in `policies.lastKnownGood`.
 */
import { serve } from './serve.ts';

if (process.send === undefined) {
  process.stderr.write('Cannot prepare: found no parent process, wanted to be started by "postern proxy"\n');
  process.exitCode = 64;
} else {
  serve(async (reading, config, nowMs) => {
    const { compile } = await import('./compile.ts');
    return compile(reading, config, nowMs);
  }, 10_000);
}
