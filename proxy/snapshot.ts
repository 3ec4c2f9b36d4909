/** What decides and identifies, as of one moment. Immutable; a swap replaces the reference, a request keeps what it began with. */
import type { Engine } from '#authz/engine/engine.ts';
import type { IdentitySnapshot } from '#certs/source/assemble.ts';
import type { BundleFacts, PolicyState } from '#proto/prepare.ts';
import type { TokenAuthenticator } from './authn/tokens/token-authenticator.ts';

export interface PolicySnapshot {
  readonly engine: Engine;
  /** Proves the tokens of users; null where no RequestAuthentication asks for that. Another one, in another snapshot, for other keys. */
  readonly users: TokenAuthenticator | null;
  readonly state: PolicyState;
  readonly documents: number;
  readonly selected: number;
  readonly loadedMs: number;
  /** The bundle that it came from; null for one compiled from files. */
  readonly bundle: BundleFacts | null;
  /** It is the copy kept on disk, its source being missing or refused. */
  readonly isKeptCopy: boolean;
  /** When everything is denied instead, milliseconds since 1970; null for never. */
  readonly expiresMs: number | null;
  /** Raw-deflated JSON of the model behind the engine, for `explain`; null when there is none. */
  readonly model: Uint8Array | null;
}

export interface Snapshot {
  readonly policy: PolicySnapshot;
  readonly identity: IdentitySnapshot | null;
}

/** Whether anything in force for the port reads what only requests have: then bytes that are no request may not pass. */
export function readsHttp({ engine, users }: PolicySnapshot, port: number): boolean {
  return users !== null || engine.readsHttp(port);
}
