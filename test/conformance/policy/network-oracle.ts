/**
 * Kubernetes' own meaning of network policies, pod by pod and straight from the parsed YAML: what a translation to identities is
 * compared with. It knows nothing of identities, and shares no code with the readers.
 */
export interface Pod {
  readonly namespace: string;
  readonly labels: Labels;
  readonly ip: string;
}

export type Labels = Readonly<Record<string, string>>;

/** Documents as YAML parses them; the fields are those of the kinds. */
export interface PolicyDocument {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly spec: {
    readonly tier?: string;
    readonly priority?: number;
    readonly subject?: Selection;
    readonly podSelector?: Selector | null;
    readonly policyTypes?: readonly string[];
    readonly ingress?: readonly Rule[];
    readonly egress?: readonly Rule[];
  };
}

interface Selector {
  readonly matchLabels?: Labels;
}

interface Selection {
  readonly namespaces?: Selector;
  readonly pods?: { readonly namespaceSelector: Selector; readonly podSelector: Selector };
}

interface Rule {
  readonly action?: string;
  readonly from?: readonly Peer[];
  readonly to?: readonly Peer[];
  readonly protocols?: readonly Readonly<Record<string, { readonly destinationPort?: PortOrRange } | undefined>>[];
}

interface PortOrRange {
  readonly number?: number;
  readonly range?: { readonly start: number; readonly end: number };
}

interface Peer extends Selection {
  readonly namespaceSelector?: Selector;
  readonly podSelector?: Selector;
  readonly networks?: readonly string[];
  readonly nodes?: object;
}

/** Whether a TCP connection is let through at both ends. */
export function isAccepted(
  policies: readonly PolicyDocument[],
  namespaces: Readonly<Record<string, Labels>>,
  source: Pod,
  destination: Pod,
  port: number,
): boolean {
  const view: View = { policies, namespaces };
  return isAcceptedAt(view, 'egress', source, destination, port) && isAcceptedAt(view, 'ingress', destination, source, port);
}

interface View {
  readonly policies: readonly PolicyDocument[];
  readonly namespaces: Readonly<Record<string, Labels>>;
}

function isAcceptedAt(view: View, direction: 'ingress' | 'egress', pod: Pod, other: Pod, port: number): boolean {
  const admin = inTier(view, 'Admin', direction, pod, other, port);
  if (admin === 'Accept') return true;
  if (admin === 'Deny') return false;
  const isolating = view.policies.filter(
    ({ kind, metadata, spec }) =>
      kind === 'NetworkPolicy' &&
      metadata.namespace === pod.namespace &&
      matches(spec.podSelector ?? {}, pod.labels) &&
      (spec.policyTypes ?? ['Ingress']).some((type) => type.toLowerCase() === direction),
  );
  if (isolating.length > 0) {
    return isolating.some(({ spec }) =>
      (spec[direction] ?? []).some((rule) => rulePeers(rule).some((peer) => isPeer(view, peer, other))),
    );
  }
  return inTier(view, 'Baseline', direction, pod, other, port) !== 'Deny';
}

function inTier(view: View, tier: string, direction: 'ingress' | 'egress', pod: Pod, other: Pod, port: number): string | null {
  const ofTier = view.policies.filter(({ kind, spec }) => kind === 'ClusterNetworkPolicy' && spec.tier === tier);
  for (const { spec } of ofTier.toSorted((left, right) => (left.spec.priority ?? 0) - (right.spec.priority ?? 0))) {
    if (spec.subject === undefined || !isPeer(view, spec.subject, pod)) continue;
    for (const rule of spec[direction] ?? []) {
      if (rulePeers(rule).some((peer) => isPeer(view, peer, other)) && isPort(rule, port)) return rule.action ?? '';
    }
  }
  return null;
}

function rulePeers({ from, to }: Rule): readonly Peer[] {
  return from ?? to ?? [];
}

function isPeer({ namespaces }: View, peer: Peer, pod: Pod): boolean {
  const labels = { ...namespaces[pod.namespace], 'kubernetes.io/metadata.name': pod.namespace };
  if (peer.namespaceSelector !== undefined) {
    return matches(peer.namespaceSelector, labels) && matches(peer.podSelector ?? {}, pod.labels);
  }
  if (peer.namespaces !== undefined) return matches(peer.namespaces, labels);
  if (peer.pods !== undefined) {
    return matches(peer.pods.namespaceSelector, labels) && matches(peer.pods.podSelector, pod.labels);
  }
  return (peer.networks ?? []).some((network) => network === '0.0.0.0/0' || network === `${pod.ip}/32`);
}

function isPort({ protocols }: Rule, port: number): boolean {
  if (protocols === undefined) return true;
  return protocols.some(({ tcp }) => {
    if (tcp === undefined) return false;
    const wanted = tcp.destinationPort;
    if (wanted === undefined) return true;
    if (wanted.range !== undefined) return port >= wanted.range.start && port <= wanted.range.end;
    return wanted.number === port;
  });
}

function matches({ matchLabels = {} }: Selector, labels: Labels): boolean {
  return Object.entries(matchLabels).every(([label, value]) => labels[label] === value);
}
