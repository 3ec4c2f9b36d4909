/**
 * What a sidecar keeps of every connection that it has accepted, whatever is spoken on it: enough to bound it, to drain it and to
 * end it when what it was accepted on no longer holds.
 */
import type { Failure } from '../failure.ts';
import type { Judge } from '../revoke/judge.ts';
import type { Connection } from './connection.ts';

export interface DownstreamConnection {
  readonly connection: Connection;
  /** Exchanges that it has carried; 1 for raw TCP. */
  readonly requests: number;
  /** Carries nothing just now. */
  readonly isIdle: boolean;
  /** Called once when the connection has ended. */
  onClosed: (() => void) | null;
  /** Lets what is in flight finish, then closes; closes at once when nothing is. */
  drain(): void;
  /**
   * Judges anew what it carries, and ends what may not go on (rules of framing respected). Asked once for each change of the snapshot,
   * and about once a second besides, which has to cost next to nothing.
   */
  rejudge(judge: Judge): void;
  /** Ends the connection now, whatever it carries. */
  destroy(failure: Failure, detail: string): void;
}
