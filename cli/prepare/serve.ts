/** The preparer's side of proto/prepare.ts: questions over IPC, answered one after the other. */
import type { PrepareAnswer, PrepareRequest } from '#proto/prepare.ts';

import { prepare } from './prepare.ts';
import type { Compile } from './prepare.ts';

/** Answers the parent until it is gone or has asked nothing for `idleMs`; then nothing keeps the process alive. */
export function serve(compile: Compile, idleMs: number): void {
  let queue = Promise.resolve();
  let isBusy = 0;
  const idle = setTimeout(() => {
    if (isBusy === 0) process.disconnect?.();
    else idle.refresh();
  }, idleMs);
  process.on('disconnect', () => clearTimeout(idle));
  process.on('message', (message) => {
    isBusy++;
    // The parent is the process that started this one and says nothing else.
    const request = message as PrepareRequest;
    queue = queue.then(async () => {
      const answer = await answerTo(request, compile);
      isBusy--;
      if (!process.connected) return;
      // A parent that is gone by now is told by its event.
      process.send?.(answer, undefined, undefined, () => {});
      idle.refresh();
    });
  });
}

async function answerTo({ file, id, lastBundle }: PrepareRequest, compile: Compile): Promise<PrepareAnswer> {
  const before = process.cpuUsage();
  const prepared = await prepare(file, { compile, nowMs: Date.now(), lastBundle, keeps: true });
  const { user, system } = process.cpuUsage(before);
  return { id, ...prepared, cpuMs: (user + system) / 1_000 };
}
