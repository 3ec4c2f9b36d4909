/** All documents of a source that say who may do what, before any workload is asked about. Plain data. */
import type { PeerAuthentication, RequestAuthentication } from './authentication.ts';
import type { Policy } from './model.ts';

export interface PolicySet {
  readonly policies: readonly Policy[];
  readonly peerAuthentications: readonly PeerAuthentication[];
  readonly requestAuthentications: readonly RequestAuthentication[];
}

/** A set of nothing but policies. */
export function setOfPolicies(policies: readonly Policy[]): PolicySet {
  return { ...EMPTY_SET, policies };
}

export const EMPTY_SET: PolicySet = Object.freeze({ policies: [], peerAuthentications: [], requestAuthentications: [] });
