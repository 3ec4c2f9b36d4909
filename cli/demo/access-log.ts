/** Follows a sidecar's access log, as an operator's `tail -f` would. */
import { closeSync, openSync, readSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

import { z } from 'zod';

const lineSchema = z.object({
  method: z.string().nullable(),
  path: z.string().nullable(),
  response_code: z.number(),
  downstream_remote_address: z.string(),
  source_principal: z.string().nullable(),
  reason: z.string().nullable(),
  detail: z.string().nullish(),
  decision: z.string().nullish(),
  decision_code: z.string().nullish(),
  decision_id: z.string().nullish(),
  policy: z.string().nullish(),
  rule: z.string().nullish(),
});

/** The part of a line that the story reads. */
export type LogLine = z.output<typeof lineSchema>;

/** The first line from byte `from` on that is wanted; null when there is none within the time. */
export async function findLine(
  file: string,
  from: number,
  isWanted: (line: LogLine) => boolean,
  timeoutMs = 5_000,
): Promise<LogLine | null> {
  const until = performance.now() + timeoutMs;
  let at = from;
  for (;;) {
    const text = readFrom(file, at);
    const whole = text.slice(0, text.lastIndexOf('\n') + 1);
    at += Buffer.byteLength(whole);
    for (const line of whole.split('\n')) {
      if (line === '') continue;
      const parsed = lineSchema.safeParse(JSON.parse(line));
      if (parsed.success && isWanted(parsed.data)) return parsed.data;
    }
    if (performance.now() > until) return null;
    await sleep(40);
  }
}

function readFrom(file: string, at: number): string {
  const fd = openSync(file, 'r');
  try {
    const bytes = Buffer.allocUnsafe(1_048_576);
    const length = readSync(fd, bytes, 0, bytes.length, at);
    return bytes.toString('utf8', 0, length);
  } finally {
    closeSync(fd);
  }
}
