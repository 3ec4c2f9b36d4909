/**
 * The idle connections to one upstream that one caller may use; the same caller's downstream connections share them, nobody else.
 * A downstream connection holds its pool from beginning to end, so that a request looks nothing up. Hot path.
 */
import type { Endpoint } from './endpoint.ts';
import type { H1Upstream } from './h1-upstream.ts';
import type { H2Connection, H2Holder } from './h2-connection.ts';

export class CallerPool implements H2Holder {
  readonly callerKey: string;
  /** The most recently used is last. */
  readonly idle: H1Upstream[] = [];
  /** HTTP/2 connections that may take streams, idle or not. */
  readonly multiplexed: H2Connection[] = [];
  /** Downstream connections that hold it. */
  users = 0;

  constructor(callerKey: string) {
    this.callerKey = callerKey;
  }

  /** Takes a connection out wherever it stands. */
  remove(upstream: H1Upstream): void {
    const index = this.idle.indexOf(upstream);
    if (index >= 0) this.idle.splice(index, 1);
  }

  /** Takes out the most recently used idle connection to `endpoint`; null without one. */
  takeIdle(endpoint: Endpoint): H1Upstream | null {
    const { idle } = this;
    const last = idle.at(-1);
    if (last !== undefined && last.endpoint === endpoint) return idle.pop() ?? null;
    for (let index = idle.length - 2; index >= 0; index--) {
      const upstream = idle[index];
      if (upstream === undefined || upstream.endpoint !== endpoint) continue;
      idle.splice(index, 1);
      return upstream;
    }
    return null;
  }
}
