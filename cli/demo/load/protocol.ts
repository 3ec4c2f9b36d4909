/** What the demo and its load process say to each other over IPC. Plain data. */

/** One kind of request, sent again and again. */
export interface LoadTarget {
  readonly name: string;
  readonly port: number;
  readonly method: string;
  readonly path: string;
}

export type LoadCommand =
  | { readonly do: 'start'; readonly targets: readonly LoadTarget[]; readonly perSecond: number }
  /** Closes the window that is open, opens the next, and answers when the last request of the closed one has ended. */
  | { readonly do: 'window' }
  | { readonly do: 'stop' };

export type LoadReport =
  | { readonly is: 'window'; readonly counts: LoadCounts }
  /** The answer to a target is another one than before, seen on a request that began after the last change. */
  | { readonly is: 'change'; readonly target: string; readonly status: number; readonly atMs: number };

/** What became of the requests that began in one window. */
export interface LoadCounts {
  readonly sent: number;
  readonly seconds: number;
  /** Got no whole response: refused, reset, broken off. */
  readonly failed: number;
  /** Got none in `HANG_MS`. */
  readonly hung: number;
  readonly targets: readonly TargetCounts[];
}

export interface TargetCounts {
  readonly name: string;
  /** Whole responses by status. */
  readonly byStatus: Readonly<Record<string, number>>;
  /** Of whole responses, from sending to the last byte; 0 when there was none. */
  readonly p50Ms: number;
  readonly p99Ms: number;
}
