/** What documents say and nothing can hold to as it is written: listed wherever policies are asked about, never passed over. */

export interface PolicyLoss {
  readonly code: LossCode;
  /** `namespace/name` of the document, or the name of one of the cluster. */
  readonly policy: string;
  readonly message: string;
}

export type LossCode =
  /** Pods that a selector tells apart have one service account, and their addresses are not known. */
  | 'identity_shared'
  /** A selector asks for labels of a namespace that the inventory does not hold. */
  | 'namespace_unknown'
  /** A port is named, and no workload of the inventory has a port of that name. */
  | 'named_port_unknown'
  /** A rule is about UDP or SCTP, which the sidecar does not carry. */
  | 'protocol_not_carried'
  /** A peer is a node or a domain name, which has no identity. */
  | 'peer_not_expressible'
  /** An API says what becomes of unknown operations, and not of which workload. */
  | 'api_unbound'
  /** An API asks for a check that nothing makes yet. */
  | 'api_not_enforced';

/** Takes note of a loss of one document. */
export type Lose = (code: LossCode, message: string) => void;
