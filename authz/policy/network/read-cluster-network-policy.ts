/**
 * Reads the policies of the cluster's administrator: ClusterNetworkPolicy of `policy.networking.k8s.io/v1alpha2`, and
 * AdminNetworkPolicy and BaselineAdminNetworkPolicy of v1alpha1. A kind of peer or protocol that is not known is a fault: passed over,
 * it would make a rule say less than it was meant to.
 */
import type { FaultList, FieldReader } from '../fields.ts';
import { readMetadata } from '../metadata.ts';
import { checkIp } from '../values.ts';
import type { NetworkPeer, NetworkPolicy, NetworkPolicyRule, NetworkPort, PodSelection, Protocol } from './network-policy.ts';
import { readLabelSelector, readPort } from './read-common.ts';

/** The policy, or null when `faults` says why not. */
export function readClusterNetworkPolicy(
  document: FieldReader,
  kind: 'ClusterNetworkPolicy' | 'AdminNetworkPolicy' | 'BaselineAdminNetworkPolicy',
  faults: FaultList,
): NetworkPolicy | null {
  const before = faults.faults.length;
  const { name } = readMetadata(document, faults);
  const spec = document.map('spec');
  document.finish();
  if (spec === null) {
    faults.add('PN0204', document.position, 'spec', 'Cannot read the policy: spec is missing');
    return null;
  }
  const isNew = kind === 'ClusterNetworkPolicy';
  const tier = isNew ? spec.word('tier', ['Admin', 'Baseline']) : kind === 'AdminNetworkPolicy' ? 'Admin' : 'Baseline';
  if (tier === null) faults.add('PN0204', spec.position, spec.at('tier'), 'Cannot read the policy: its tier is missing');
  const isSingleton = kind === 'BaselineAdminNetworkPolicy';
  const priority = isSingleton ? 0 : spec.integer('priority', 0, 1000);
  if (priority === null)
    faults.add('PN0204', spec.position, spec.at('priority'), 'Cannot read the policy: its priority is missing');
  const subject = readSubject(spec, faults);
  const reader = new RuleReader(isNew, isSingleton, faults);
  const ingress = spec.maps('ingress').map((rule, index) => reader.read(rule, 'from', index));
  const egress = spec.maps('egress').map((rule, index) => reader.read(rule, 'to', index));
  for (const [field, rules] of [
    ['ingress', ingress],
    ['egress', egress],
  ] as const) {
    if (rules.length > MAX_RULES)
      faults.add('PN0209', spec.where(field), spec.at(field), `Cannot read ${field}: more than ${MAX_RULES} rules`);
  }
  spec.finish();
  if (faults.faults.length > before || name === null) return null;
  const position = document.position;
  return { tier: tier ?? 'Admin', namespace: null, name, priority: priority ?? 0, subject, ingress, egress, position };
}

function readSubject(spec: FieldReader, faults: FaultList): PodSelection {
  const subject = spec.map('subject');
  if (subject === null) {
    faults.add('PN0204', spec.position, spec.at('subject'), 'Cannot read the policy: its subject is missing');
    return { namespaces: null, pods: null };
  }
  const selection = readSelection(subject, faults);
  subject.finish();
  if (selection !== null) return selection;
  faults.add('PN0213', subject.position, subject.path, 'Cannot read subject: wanted one of namespaces and pods');
  return { namespaces: null, pods: null };
}

/** `namespaces: <selector>` or `pods: {namespaceSelector, podSelector}`; null for neither or both. */
function readSelection(reader: FieldReader, faults: FaultList): PodSelection | null {
  const namespaces = readLabelSelector(reader, 'namespaces', faults);
  const pods = reader.map('pods');
  if ((namespaces === null) === (pods === null)) return null;
  if (pods === null) return { namespaces, pods: null };
  const selection = {
    namespaces: readLabelSelector(pods, 'namespaceSelector', faults) ?? { requirements: [] },
    pods: readLabelSelector(pods, 'podSelector', faults),
  };
  pods.finish();
  return selection;
}

class RuleReader {
  readonly #isNew: boolean;
  readonly #isSingleton: boolean;
  readonly #faults: FaultList;

  constructor(isNew: boolean, isSingleton: boolean, faults: FaultList) {
    this.#isNew = isNew;
    this.#isSingleton = isSingleton;
    this.#faults = faults;
  }

  read(rule: FieldReader, field: 'from' | 'to', index: number): NetworkPolicyRule {
    const name = rule.hasValue('name') ? (rule.text('name') ?? '') : String(index);
    rule.pass('name');
    const accept = this.#isNew ? 'Accept' : 'Allow';
    const words = this.#isSingleton ? [accept, 'Deny'] : [accept, 'Deny', 'Pass'];
    const word = rule.word('action', words, 'PN0207');
    if (word === null && !rule.hasValue('action')) {
      this.#faults.add('PN0204', rule.position, rule.at('action'), 'Cannot read the rule: its action is missing');
    }
    const action = word === accept ? 'accept' : word === 'Pass' ? 'pass' : 'deny';
    const peers = rule.maps(field).flatMap((peer) => this.#peers(peer));
    if (peers.length === 0) {
      this.#faults.add('PN0203', rule.position, rule.at(field), `Cannot read the rule: ${field} is missing or empty`);
    }
    const ports = this.#isNew ? this.#protocols(rule) : this.#ports(rule);
    rule.finish();
    return { name, action, peers, ports, position: rule.position };
  }

  #peers(peer: FieldReader): readonly NetworkPeer[] {
    const selection = readSelection(peer, this.#faults);
    const networks = peer.hasValue('networks')
      ? peer.texts('networks', (text, at, path) => {
          const wrong = checkIp(text);
          if (wrong !== null) this.#faults.add(wrong.code, at, path, wrong.message, wrong.fix);
        })
      : [];
    const found: NetworkPeer[] = networks.map((cidr) => ({ kind: 'block', cidr, except: [] }));
    if (selection !== null) found.push({ kind: 'pods', selection });
    for (const what of ['nodes', 'domainNames']) {
      if (peer.hasValue(what)) found.push({ kind: 'other', what });
    }
    peer.pass('networks', 'nodes', 'domainNames');
    const isWhole = peer.finish();
    if (isWhole && found.length === 0) {
      this.#faults.add('PN0213', peer.position, peer.path, 'Cannot read the peer: it names nobody');
    }
    return found;
  }

  /** v1alpha2: `protocols: [{tcp: {destinationPort: {number: 80}}}, {destinationNamedPort: web}]`. */
  #protocols(rule: FieldReader): readonly NetworkPort[] | null {
    if (!rule.hasValue('protocols')) return null;
    return rule.maps('protocols').map((reader) => {
      const name = reader.hasValue('destinationNamedPort') ? reader.text('destinationNamedPort') : null;
      reader.pass('destinationNamedPort');
      const found: NetworkPort[] = name === null ? [] : [{ protocol: null, name }];
      for (const [field, protocol] of PROTOCOLS) {
        const inner = reader.map(field);
        if (inner !== null) found.push(this.#destination(inner, protocol));
      }
      const isWhole = reader.finish();
      const [port] = found;
      if (isWhole && found.length !== 1) {
        const message = 'Cannot read the protocol: wanted one of tcp, udp, sctp and destinationNamedPort';
        this.#faults.add('PN0213', reader.position, reader.path, message);
      }
      return port ?? { protocol: 'TCP', low: 1, high: 65_535 };
    });
  }

  #destination(reader: FieldReader, protocol: Protocol): NetworkPort {
    const port = reader.map('destinationPort');
    reader.finish();
    if (port === null) return { protocol, low: 1, high: 65_535 };
    const number = port.integer('number', 1, 65_535);
    const range = port.map('range');
    const low = number ?? range?.integer('start', 1, 65_535) ?? 1;
    const high = number ?? range?.integer('end', 1, 65_535) ?? 65_535;
    range?.finish();
    port.finish();
    if ((number === null) === (range === null) || low > high) {
      this.#faults.add('PN0303', port.position, port.path, 'Cannot read the port: wanted a number or a range');
    }
    return { protocol, low, high };
  }

  /** v1alpha1: `ports: [{portNumber: {...}}, {portRange: {...}}, {namedPort: web}]`. */
  #ports(rule: FieldReader): readonly NetworkPort[] | null {
    if (!rule.hasValue('ports')) return null;
    return rule.maps('ports').map((reader) => {
      const name = reader.hasValue('namedPort') ? reader.text('namedPort') : null;
      reader.pass('namedPort');
      const found: NetworkPort[] = name === null ? [] : [{ protocol: null, name }];
      const number = reader.map('portNumber');
      if (number !== null) found.push(this.#number(number, 'port', null));
      const range = reader.map('portRange');
      if (range !== null) found.push(this.#number(range, 'start', 'end'));
      const isWhole = reader.finish();
      const [port] = found;
      if (isWhole && found.length !== 1) {
        const message = 'Cannot read the port: wanted one of portNumber, portRange and namedPort';
        this.#faults.add('PN0213', reader.position, reader.path, message);
      }
      return port ?? { protocol: 'TCP', low: 1, high: 65_535 };
    });
  }

  #number(reader: FieldReader, field: string, endField: string | null): NetworkPort {
    const port = readPort(reader, field, endField, this.#faults);
    reader.finish();
    return port;
  }
}

const PROTOCOLS = [
  ['tcp', 'TCP'],
  ['udp', 'UDP'],
  ['sctp', 'SCTP'],
] as const;
/** Of Kubernetes' own schema. */
const MAX_RULES = 100;
