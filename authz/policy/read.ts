/**
 * Reads policy documents from text. Every document is read, so that its author sees all faults at once; whoever puts the
 * policies in force must refuse the whole set when there is any.
 */
import { FaultList, FieldReader } from './fields.ts';
import { readAuthorizationPolicy } from './istio-authorization-policy.ts';
import type { Policy, PolicyFault, Position } from './model.ts';
import { nearestName } from './suggest.ts';
import { parseYamlFile } from './yaml-documents.ts';
import type { YamlNode } from './yaml-documents.ts';

/** What became of one document. */
export interface DocumentReport {
  readonly position: Position;
  /** As written, or '' where there is none. */
  readonly kind: string;
  readonly name: string;
  readonly policy: Policy | null;
  /** It is of a kind that is not ours and that the caller wants ignored. */
  readonly isIgnored: boolean;
  readonly faults: readonly PolicyFault[];
}

export interface PolicyReading {
  readonly policies: readonly Policy[];
  readonly documents: readonly DocumentReport[];
  /** Of all documents, and of the file as a whole. */
  readonly faults: readonly PolicyFault[];
}

export interface ReadOptions {
  /** Pass over kinds that are no policy at all. Kinds of policy that are not supported yet are a fault all the same. */
  readonly ignoreKinds?: boolean;
}

/** Reads one file's text. Names must differ within it; `joinReadings` sees to names that two files share. */
export function readPolicies(text: string, file: string, options: ReadOptions = {}): PolicyReading {
  const yaml = parseYamlFile(text, file);
  const documents = yaml.documents.map((node) => readDocument(node, options));
  return joinReadings([{ policies: [], documents, faults: yaml.faults }]);
}

/** Puts readings together and refuses a name that stands twice. */
export function joinReadings(readings: readonly PolicyReading[]): PolicyReading {
  const seen = new Map<string, Position>();
  const documents: DocumentReport[] = [];
  const fileFaults: PolicyFault[] = [];
  for (const reading of readings) {
    const reported = new Set(reading.documents.flatMap(({ faults }) => faults));
    fileFaults.push(...reading.faults.filter((fault) => !reported.has(fault)));
    for (const document of reading.documents) documents.push(withoutNamesake(document, seen));
  }
  const policies = documents.flatMap(({ policy, faults }) => (policy !== null && faults.length === 0 ? [policy] : []));
  return { policies, documents, faults: [...fileFaults, ...documents.flatMap(({ faults }) => faults)] };
}

function withoutNamesake(document: DocumentReport, seen: Map<string, Position>): DocumentReport {
  if (document.policy === null) return document;
  const name = `${document.policy.namespace ?? ''}/${document.policy.name}`;
  const first = seen.get(name);
  if (first === undefined) {
    seen.set(name, document.position);
    return document;
  }
  const faults = new FaultList();
  const message = `Cannot read the policy "${name}": it stands at ${first.file}:${first.line} already`;
  faults.add('PN0114', document.position, 'metadata.name', message, 'Give it another name');
  return { ...document, faults: [...document.faults, ...faults.faults] };
}

function readDocument(node: YamlNode, options: ReadOptions): DocumentReport {
  const faults = new FaultList();
  if (node.kind !== 'map') {
    faults.add('PN0202', node.position, '', 'Cannot read the document: wanted a mapping');
    return { position: node.position, kind: '', name: '', policy: null, isIgnored: false, faults: faults.faults };
  }
  const document = new FieldReader(node, '', faults);
  const apiVersion = document.text('apiVersion') ?? '';
  const kind = document.text('kind') ?? '';
  const [group = '', version = ''] = apiVersion.split('/');
  const isIgnored = faults.faults.length === 0 && options.ignoreKinds === true && !isOurs(group, kind);
  const policy = isIgnored ? null : readKind(document, { apiVersion, group, version, kind }, faults);
  return { position: node.position, kind, name: nameOf(node), policy, isIgnored, faults: faults.faults };
}

interface TypeMeta {
  readonly apiVersion: string;
  readonly group: string;
  readonly version: string;
  readonly kind: string;
}

function readKind(document: FieldReader, type: TypeMeta, faults: FaultList): Policy | null {
  const { apiVersion, group, version, kind } = type;
  if (apiVersion === '' || kind === '') {
    const missing = apiVersion === '' ? 'apiVersion' : 'kind';
    if (faults.faults.length === 0)
      faults.add('PN0204', document.position, missing, `Cannot read the document: ${missing} is missing`);
    return null;
  }
  if (!isOurs(group, kind)) {
    const near = nearestName(kind, ISTIO_KINDS);
    const fix = near === null || near === kind ? 'Keep other kinds elsewhere, or say --ignore-kinds' : `Did you mean ${near}`;
    faults.add(
      'PN0112',
      document.where('kind'),
      'kind',
      `Cannot read the kind "${kind}" of "${apiVersion}": it is no policy`,
      fix,
    );
    return null;
  }
  if (kind !== 'AuthorizationPolicy' || group !== ISTIO_GROUP) {
    faults.add('PN0113', document.where('kind'), 'kind', `Cannot read the kind "${kind}": it is not supported yet`);
    return null;
  }
  if (version !== 'v1' && version !== 'v1beta1') {
    faults.add(
      'PN0111',
      document.where('apiVersion'),
      'apiVersion',
      `Cannot read apiVersion "${apiVersion}": wanted ${ISTIO_GROUP}/v1`,
    );
    return null;
  }
  return readAuthorizationPolicy(document, faults);
}

/** Whether the document says something about who may do what: it is understood or refused, never passed over. */
function isOurs(group: string, kind: string): boolean {
  return (group === ISTIO_GROUP && ISTIO_KINDS.includes(kind)) || group === OUR_GROUP;
}

function nameOf(node: YamlNode): string {
  const metadata = node.kind === 'map' ? node.entries.find(({ key }) => key === 'metadata')?.value : undefined;
  const name = metadata?.kind === 'map' ? metadata.entries.find(({ key }) => key === 'name')?.value : undefined;
  return name?.kind === 'scalar' && typeof name.value === 'string' ? name.value : '';
}

const ISTIO_GROUP = 'security.istio.io';
const OUR_GROUP = 'security.postern.mesh';
const ISTIO_KINDS = ['AuthorizationPolicy', 'RequestAuthentication', 'PeerAuthentication'];
