/** What a sidecar of several workers answers to its admin interface: their answers put together. */

/** One worker's answer; null when it knows no such thing, or did not answer. */
export interface WorkerAnswer {
  readonly worker: number;
  readonly pid: number;
  readonly body: unknown;
}

/**
 * One answer of all. What each has of its own, connections and decisions, becomes one list; of what should be the same everywhere the first
 * one's is told, and what it is in each beside it.
 */
export function fleetAnswer(url: string, answers: readonly WorkerAnswer[]): unknown {
  const known = answers.filter(({ body }) => body !== null);
  const first = known[0]?.body ?? null;
  if (first === null) return null;
  if (Array.isArray(first)) return joined(url, known);
  // One of them remembers it.
  if (url.startsWith('/decisions/')) return first;
  const workers = answers.map(({ worker, pid, body }) => ({ worker, pid, ...shortOf(body) }));
  return typeof first === 'object' ? { ...first, workers } : first;
}

function joined(url: string, answers: readonly WorkerAnswer[]): unknown[] {
  const all = answers.flatMap(({ worker, body }) => {
    const entries: readonly unknown[] = Array.isArray(body) ? body : [];
    return entries.map((entry) => (typeof entry === 'object' ? { worker, ...entry } : entry));
  });
  return url === '/decisions' ? all.toSorted((a, b) => timeOf(b) - timeOf(a)) : all;
}

function timeOf(entry: unknown): number {
  return typeof entry === 'object' && entry !== null && 'at' in entry ? Date.parse(String(entry.at)) : 0;
}

/** What tells whether all have the same in force. */
function shortOf(body: unknown): object {
  if (typeof body !== 'object' || body === null) return { answers: false };
  return Object.fromEntries(Object.entries(body).filter(([name, value]) => TELLING.has(name) && typeof value !== 'object'));
}

const TELLING = new Set(['revision', 'state', 'loadedAt', 'serial', 'generation', 'bundleGeneration', 'fault']);
