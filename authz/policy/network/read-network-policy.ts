/** Reads a NetworkPolicy of `networking.k8s.io/v1`. */
import type { FaultList, FieldReader } from '../fields.ts';
import { readMetadata } from '../metadata.ts';
import type { NetworkPeer, NetworkPolicy, NetworkPolicyRule } from './network-policy.ts';
import { readBlock, readLabelSelector, readPort } from './read-common.ts';

/** The policy, or null when `faults` says why not. */
export function readNetworkPolicy(document: FieldReader, faults: FaultList): NetworkPolicy | null {
  const before = faults.faults.length;
  const { name, namespace } = readMetadata(document, faults);
  const spec = document.map('spec');
  document.finish();
  if (spec === null) {
    faults.add('PN0204', document.position, 'spec', 'Cannot read the policy: spec is missing');
    return null;
  }
  const pods = readLabelSelector(spec, 'podSelector', faults);
  if (pods === null) {
    const fix = 'Write podSelector: {} for every pod of the namespace';
    faults.add('PN0204', spec.position, spec.at('podSelector'), 'Cannot read the policy: podSelector is missing', fix);
  }
  const ingress = spec.maps('ingress').map((rule, index) => readRule(rule, 'from', index, faults));
  const egress = spec.maps('egress').map((rule, index) => readRule(rule, 'to', index, faults));
  const types = new Set<string>();
  if (spec.hasValue('policyTypes')) {
    spec.texts('policyTypes', (text, at, path) => {
      if (text === 'Ingress' || text === 'Egress') types.add(text);
      else faults.add('PN0212', at, path, `Cannot read "${text}"`, 'Known: Ingress, Egress');
    });
  } else {
    // As Kubernetes fills it in.
    types.add('Ingress');
    if (spec.hasValue('egress')) types.add('Egress');
  }
  spec.pass('policyTypes');
  spec.finish();
  if (faults.faults.length > before || name === null) return null;
  return {
    tier: 'Namespace',
    namespace,
    name,
    priority: 0,
    subject: { namespaces: null, pods },
    ingress: types.has('Ingress') ? ingress : null,
    egress: types.has('Egress') ? egress : null,
    position: document.position,
  };
}

function readRule(rule: FieldReader, field: 'from' | 'to', index: number, faults: FaultList): NetworkPolicyRule {
  const peers = rule.maps(field).map((peer) => readPeer(peer, faults));
  const ports = rule.maps('ports').map((reader) => {
    const port = readPort(reader, 'port', 'endPort', faults);
    reader.finish();
    return port;
  });
  rule.finish();
  // A list that is missing or empty is everybody, and every port.
  return {
    name: String(index),
    action: 'accept',
    peers: peers.length === 0 ? null : peers,
    ports: ports.length === 0 ? null : ports,
    position: rule.position,
  };
}

function readPeer(peer: FieldReader, faults: FaultList): NetworkPeer {
  const block = peer.map('ipBlock');
  const pods = readLabelSelector(peer, 'podSelector', faults);
  const namespaces = readLabelSelector(peer, 'namespaceSelector', faults);
  peer.finish();
  const isEmpty = pods === null && namespaces === null;
  if ((block === null) === isEmpty) {
    const fix = 'Write ipBlock, or podSelector and namespaceSelector';
    faults.add('PN0205', peer.position, peer.path, 'Cannot read the peer: wanted an ipBlock or selectors', fix);
  }
  return block === null ? { kind: 'pods', selection: { namespaces, pods } } : readBlock(block, faults);
}
