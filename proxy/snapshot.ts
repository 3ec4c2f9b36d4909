/** What decides and identifies, as of one moment. Immutable; a swap replaces the reference, a request keeps what it began with. */
import type { Engine } from '#authz/engine/engine.ts';
import type { IdentitySnapshot } from '#certs/source/assemble.ts';
import type { PolicyState } from '#proto/prepare.ts';

export interface PolicySnapshot {
  readonly engine: Engine;
  readonly state: PolicyState;
  readonly documents: number;
  readonly selected: number;
  readonly loadedMs: number;
  /** Raw-deflated JSON of the model behind the engine, for `explain`; null when there is none. */
  readonly model: Uint8Array | null;
}

export interface Snapshot {
  readonly policy: PolicySnapshot;
  readonly identity: IdentitySnapshot | null;
}
