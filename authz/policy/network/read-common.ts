/** What the readers of network policies share: label selectors, blocks and ports. */
import { cidrContains, parseCidr } from '#base/cidr.ts';

import type { FaultList, FieldReader } from '../fields.ts';
import type { LabelRequirement, LabelSelector, NetworkPeer, NetworkPort, Protocol } from './network-policy.ts';

/** The selector of a field; null when it is absent. A field that is null selects everything, as in Kubernetes. */
export function readLabelSelector(owner: FieldReader, field: string, faults: FaultList): LabelSelector | null {
  const reader = owner.map(field);
  if (reader === null) return owner.has(field) ? ALL : null;
  const requirements: LabelRequirement[] = Object.entries(reader.textMap('matchLabels')).map(([key, value]) => ({
    key,
    operator: 'In',
    values: [value],
  }));
  for (const expression of reader.maps('matchExpressions')) {
    const key = expression.text('key') ?? '';
    const operator = expression.word('operator', ['In', 'NotIn', 'Exists', 'DoesNotExist']);
    const values = expression.hasValue('values') ? expression.texts('values', () => {}) : [];
    expression.pass('values');
    expression.finish();
    const wantsValues = operator === 'In' || operator === 'NotIn';
    if (key === '' || operator === null || wantsValues !== values.length > 0) {
      const fix = 'Write { key: app, operator: In, values: [a] }, or Exists without values';
      faults.add('PN0213', expression.position, expression.path, 'Cannot read the requirement: its parts do not fit', fix);
    } else requirements.push({ key, operator, values });
  }
  reader.finish();
  return { requirements };
}

export function readBlock(reader: FieldReader, faults: FaultList): NetworkPeer {
  const cidr = reader.text('cidr') ?? '';
  const block = parseCidr(cidr);
  if (block === null) faults.add('PN0302', reader.where('cidr'), reader.at('cidr'), `Cannot read "${cidr}": found no CIDR block`);
  const except = reader.hasValue('except')
    ? reader.texts('except', (text, at, path) => {
        const inner = parseCidr(text);
        if (inner === null || (block !== null && !cidrContains(block, inner.address))) {
          faults.add('PN0302', at, path, `Cannot read "${text}": found no block within ${cidr}`);
        }
      })
    : [];
  reader.pass('except');
  reader.finish();
  return { kind: 'block', cidr, except };
}

/** A port by number or name, perhaps the first of a range. */
export function readPort(reader: FieldReader, field: string, endField: string | null, faults: FaultList): NetworkPort {
  const protocol: Protocol = reader.word('protocol', ['TCP', 'UDP', 'SCTP']) ?? 'TCP';
  const node = reader.node(field);
  const high = endField === null ? null : reader.integer(endField, 1, 65_535);
  if (node === null) {
    if (high !== null) faults.add('PN0204', reader.position, reader.at(field), `Cannot read the port: ${field} is missing`);
    return { protocol, low: 1, high: 65_535 };
  }
  if (node.kind === 'scalar' && typeof node.value === 'string') {
    if (high !== null) faults.add('PN0205', reader.position, reader.at(field), 'Cannot read the port: a name begins no range');
    return { protocol, name: node.value };
  }
  const low = reader.integer(field, 1, 65_535) ?? 1;
  if (high !== null && high < low) {
    faults.add('PN0303', reader.position, reader.at(field), `Cannot read the ports: ${low}-${high} ends before it begins`);
  }
  return { protocol, low, high: high ?? low };
}

const ALL: LabelSelector = Object.freeze({ requirements: [] });
