/**
 * Reads policy documents from text. Every document is read, so that its author sees all faults at once; whoever puts the
 * policies in force must refuse the whole set when there is any.
 */
import { FaultList, FieldReader } from './fields.ts';
import { KINDS } from './kinds.ts';
import type { PolicyKind } from './kinds.ts';
import type { Policy, PolicyFault, Position } from './model.ts';
import { joinSets } from './policy-set.ts';
import type { PolicySet } from './policy-set.ts';
import { nearestName } from './suggest.ts';
import { parseYamlFile } from './yaml-documents.ts';
import type { YamlNode } from './yaml-node.ts';

/** What became of one document. */
export interface DocumentReport {
  readonly position: Position;
  /** As written, or '' where there is none. */
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  /** What it adds to the set; null with a fault, or when it is ignored. */
  readonly content: PolicySet | null;
  /** It is of a kind that is not ours and that the caller wants ignored. */
  readonly isIgnored: boolean;
  readonly faults: readonly PolicyFault[];
}

export interface PolicyReading {
  /** Of the documents without a fault. */
  readonly set: PolicySet;
  /** Those of the set. */
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
  return gather(
    yaml.documents.map((node) => readDocument(node, options)),
    yaml.faults,
  );
}

/** Nothing but a fault of a file as a whole. */
export function failedReading(wrong: PolicyFault): PolicyReading {
  return gather([], [wrong]);
}

/** Puts readings together and refuses a name that stands twice. */
export function joinReadings(readings: readonly PolicyReading[]): PolicyReading {
  const fileFaults: PolicyFault[] = [];
  for (const reading of readings) {
    const reported = new Set(reading.documents.flatMap(({ faults }) => faults));
    fileFaults.push(...reading.faults.filter((fault) => !reported.has(fault)));
  }
  return gather(
    readings.flatMap(({ documents }) => documents),
    fileFaults,
  );
}

function gather(read: readonly DocumentReport[], fileFaults: readonly PolicyFault[]): PolicyReading {
  const seen = new Map<string, Position>();
  const documents = read.map((document) => withoutNamesake(document, seen));
  const set = joinSets(documents.flatMap(({ content, faults }) => (content !== null && faults.length === 0 ? [content] : [])));
  return { set, policies: set.policies, documents, faults: [...fileFaults, ...documents.flatMap(({ faults }) => faults)] };
}

function withoutNamesake(document: DocumentReport, seen: Map<string, Position>): DocumentReport {
  if (document.content === null) return document;
  const name = `${document.namespace}/${document.name}`;
  const key = `${KINDS.find(({ kind }) => kind === document.kind)?.family ?? document.kind} ${name}`;
  const first = seen.get(key);
  if (first === undefined) {
    seen.set(key, document.position);
    return document;
  }
  // Read again with the files it stands in: it was refused already.
  if (document.faults.some(({ code }) => code === 'PN0114')) return document;
  const faults = new FaultList();
  const message = `Cannot read the policy "${name}": it stands at ${first.file}:${first.line} already`;
  faults.add('PN0114', document.position, 'metadata.name', message, 'Give it another name');
  return { ...document, faults: [...document.faults, ...faults.faults] };
}

function readDocument(node: YamlNode, options: ReadOptions): DocumentReport {
  const faults = new FaultList();
  const nameless = { position: node.position, kind: '', namespace: '', name: '', content: null, isIgnored: false };
  if (node.kind !== 'map') {
    faults.add('PN0202', node.position, '', 'Cannot read the document: wanted a mapping');
    return { ...nameless, faults: faults.faults };
  }
  const document = new FieldReader(node, '', faults);
  const apiVersion = document.text('apiVersion') ?? '';
  const kind = document.text('kind') ?? '';
  const [group = '', version = ''] = apiVersion.split('/');
  const isIgnored = faults.faults.length === 0 && options.ignoreKinds === true && !isOurs(group, kind);
  const content = isIgnored ? null : readKind(document, { apiVersion, group, version, kind }, faults);
  const named = { kind, namespace: metadataText(node, 'namespace'), name: metadataText(node, 'name') };
  return { ...nameless, ...named, content, isIgnored, faults: faults.faults };
}

interface TypeMeta {
  readonly apiVersion: string;
  readonly group: string;
  readonly version: string;
  readonly kind: string;
}

function readKind(document: FieldReader, type: TypeMeta, faults: FaultList): PolicySet | null {
  const { apiVersion, group, version, kind } = type;
  if (apiVersion === '' || kind === '') {
    const missing = apiVersion === '' ? 'apiVersion' : 'kind';
    if (faults.faults.length === 0)
      faults.add('PN0204', document.position, missing, `Cannot read the document: ${missing} is missing`);
    return null;
  }
  const known = KINDS.find((candidate) => candidate.group === group && candidate.kind === kind);
  if (known === undefined) {
    refuseKind(document, type, faults);
    return null;
  }
  if (!known.versions.includes(version)) {
    const message = `Cannot read apiVersion "${apiVersion}": wanted ${versionsOf(known)}`;
    faults.add('PN0111', document.where('apiVersion'), 'apiVersion', message, `Write ${group}/${known.versions[0] ?? ''}`);
    return null;
  }
  return known.read(document, faults);
}

function versionsOf({ group, versions }: PolicyKind): string {
  return versions.map((version) => `${group}/${version}`).join(' or ');
}

function refuseKind(document: FieldReader, { apiVersion, group, kind }: TypeMeta, faults: FaultList): void {
  const names = KINDS.map((known) => known.kind);
  const near = nearestName(kind, names);
  if (near === kind) {
    const groups = KINDS.filter((known) => known.kind === kind).map(versionsOf);
    const message = `Cannot read the kind "${kind}" of "${apiVersion}": wanted ${groups.join(' or ')}`;
    faults.add(
      'PN0112',
      document.where('apiVersion'),
      'apiVersion',
      message,
      'Keep other kinds elsewhere, or say --ignore-kinds',
    );
    return;
  }
  const fix = near === null ? 'Keep other kinds elsewhere, or say --ignore-kinds' : `Did you mean ${near}`;
  const isKnownGroup = KINDS.some((known) => known.group === group);
  const why = isKnownGroup ? 'no such kind is known here' : 'it is no policy';
  const message = `Cannot read the kind "${kind}" of "${apiVersion}": ${why}`;
  faults.add(isKnownGroup ? 'PN0113' : 'PN0112', document.where('kind'), 'kind', message, fix);
}

/**
 * Whether the document says something about who may do what: it is understood or refused, never passed over. In groups that hold
 * nothing else that is every kind.
 */
function isOurs(group: string, kind: string): boolean {
  return SECURITY_GROUPS.includes(group) || KINDS.some((known) => known.group === group && known.kind === kind);
}

function metadataText(node: YamlNode, field: string): string {
  const metadata = node.kind === 'map' ? node.entries.find(({ key }) => key === 'metadata')?.value : undefined;
  const value = metadata?.kind === 'map' ? metadata.entries.find(({ key }) => key === field)?.value : undefined;
  return value?.kind === 'scalar' && typeof value.value === 'string' ? value.value : '';
}

const SECURITY_GROUPS = ['security.istio.io', 'security.postern.mesh', 'policy.networking.k8s.io'];
