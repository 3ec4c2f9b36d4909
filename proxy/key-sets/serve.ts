/** The fetching process's side of proto/key-sets.ts: questions over IPC, several at a time. */
import type { KeySetRequest } from '#proto/key-sets.ts';

import { fetchKeySet } from './fetch-key-set.ts';

/** Answers the parent until it is gone, or has asked nothing for `idleMs`. */
export function serve(idleMs: number): void {
  let open = 0;
  const idle = setTimeout(() => {
    if (open === 0) process.disconnect?.();
    else idle.refresh();
  }, idleMs);
  process.on('disconnect', () => process.exit());
  process.on('message', (message) => {
    open++;
    // The parent is the process that started this one and says nothing else.
    void fetchKeySet(message as KeySetRequest).then((answer) => {
      open--;
      idle.refresh();
      // A parent that is gone by now is told by its event.
      if (process.connected) process.send?.(answer, undefined, undefined, () => {});
    });
  });
}
