/** What all documents in the form of Kubernetes have in common: `metadata`, and what a policy is attached to. */
import type { FaultList, FieldReader } from './fields.ts';
import type { Position } from './model.ts';

export interface Metadata {
  readonly name: string | null;
  readonly namespace: string | null;
  readonly annotations: Readonly<Record<string, string>>;
  readonly annotationsAt: Position;
  /** Milliseconds since 1970, or null. */
  readonly createdMs: number | null;
}

/** Reads `metadata` as every Kubernetes kind has it; `name` is null when a fault says why. */
export function readMetadata(document: FieldReader, faults: FaultList): Metadata {
  const metadata = document.map('metadata');
  document.pass('apiVersion', 'kind', 'status');
  const none = { name: null, namespace: null, annotations: {}, annotationsAt: document.position, createdMs: null };
  if (metadata === null) {
    faults.add('PN0204', document.position, 'metadata', 'Cannot read the document: metadata.name is missing');
    return none;
  }
  const name = metadata.text('name');
  const namespace = metadata.text('namespace');
  const annotations = metadata.textMap('annotations');
  const created = metadata.hasValue('creationTimestamp') ? metadata.text('creationTimestamp') : null;
  metadata.pass(...KUBERNETES_METADATA);
  metadata.finish();
  if (name === null)
    faults.add('PN0204', metadata.position, 'metadata.name', 'Cannot read the document: metadata.name is missing');
  for (const [field, value] of [
    ['name', name],
    ['namespace', namespace],
  ] as const) {
    if (value === null || /^[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?$/.test(value)) continue;
    const fix = 'Write lower-case letters, digits, "-" and "."';
    faults.add('PN0310', metadata.where(field), `metadata.${field}`, `Cannot read "${value}": found no Kubernetes name`, fix);
  }
  const createdMs = created === null ? Number.NaN : Date.parse(created);
  return {
    name,
    namespace,
    annotations,
    annotationsAt: metadata.where('annotations'),
    createdMs: Number.isNaN(createdMs) ? null : createdMs,
  };
}

/** Which workloads a document is for. */
export interface Attachment {
  readonly selector: Readonly<Record<string, string>>;
  /** It names `targetRefs`: it is meant for gateways and waypoints, and no sidecar obeys it. */
  readonly isForGateways: boolean;
}

/** Reads `selector`, `targetRefs` and `targetRef` as Istio's kinds have them. */
export function readAttachment(spec: FieldReader, faults: FaultList): Attachment {
  const labels = readSelector(spec, faults);
  const targets = [...spec.maps('targetRefs'), ...[spec.map('targetRef')].filter((target) => target !== null)];
  const isForGateways = spec.hasValue('targetRefs') || spec.hasValue('targetRef');
  const ways = [spec.hasValue('selector'), spec.hasValue('targetRefs'), spec.hasValue('targetRef')];
  if (ways.filter(Boolean).length > 1) {
    const at = spec.hasValue('selector') ? 'selector' : 'targetRef';
    faults.add(
      'PN0205',
      spec.where(at),
      spec.at(at),
      'Cannot read the policy: it has more than one of selector, targetRefs and targetRef',
    );
  }
  for (const target of targets) readTarget(target, faults);
  return { selector: labels, isForGateways };
}

/** `selector: {matchLabels: ...}`; labels match literally. */
export function readSelector(spec: FieldReader, faults: FaultList): Readonly<Record<string, string>> {
  const selector = spec.map('selector');
  if (selector === null) return {};
  const labels = selector.textMap('matchLabels');
  selector.finish();
  for (const [label, value] of Object.entries(labels)) {
    if (label !== '' && !label.includes('*') && !value.includes('*')) continue;
    faults.add(
      'PN0310',
      selector.position,
      selector.at('matchLabels'),
      `Cannot read the label "${label}": labels match literally`,
    );
  }
  return labels;
}

/** Of our own kinds. A Service says nothing about a workload that can be known here. */
export function refuseTargets(spec: FieldReader, faults: FaultList): void {
  const isThere = spec.hasValue('targetRefs');
  spec.pass('targetRefs');
  if (!isThere) return;
  const message = 'Cannot read targetRefs: which workloads stand behind a service is not known here';
  faults.add('PN0213', spec.where('targetRefs'), spec.at('targetRefs'), message, 'Write selector: { matchLabels: ... }');
}

function readTarget(target: FieldReader, faults: FaultList): void {
  const wrong = (field: string, why: string): void =>
    faults.add('PN0213', target.where(field), target.at(field), `Cannot read the target: ${why}`);
  const group = target.hasValue('group') ? target.text('group') : '';
  const kind = target.text('kind');
  const name = target.text('name');
  if (group !== null && group !== '' && !DNS_NAME.test(group)) wrong('group', `"${group}" is no API group`);
  if (kind === null || !/^[a-zA-Z](?:[-a-zA-Z0-9]*[a-zA-Z0-9])?$/.test(kind)) wrong('kind', 'its kind is missing or malformed');
  if (name === null || name === '') wrong('name', 'its name is missing');
  if (target.text('namespace') !== null) wrong('namespace', 'it lies in a namespace of its own');
  target.finish();
}

const DNS_NAME = /^[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*$/;
const KUBERNETES_METADATA = [
  'labels',
  'creationTimestamp',
  'deletionGracePeriodSeconds',
  'deletionTimestamp',
  'finalizers',
  'generateName',
  'generation',
  'managedFields',
  'ownerReferences',
  'resourceVersion',
  'selfLink',
  'uid',
];
