/**
 * Reads an APIDefinition of `security.postern.mesh/v1alpha1`: the envelope of an API, and operations that are written in it. Where
 * its OpenAPI document or `.proto` is, is told; somebody else reads that and gives `ApiOperations`.
 */
import { encodedSlashFault } from './encoded-slashes.ts';
import type { FaultList, FieldReader } from './fields.ts';
import { readMetadata, readSelector, refuseTargets } from './metadata.ts';
import type { Position } from './model.ts';
import { readParameterChecks } from './parameter-checks.ts';
import type { ParameterCheck } from './parameters.ts';
import { checkPath } from './values.ts';

/** One operation of an API as rules see it. */
export interface ApiOperation {
  /** Its operationId. */
  readonly id: string;
  /** In upper case. */
  readonly method: string;
  /** Literal segments, `{*}` and, at the end, `{**}`. */
  readonly path: string;
  readonly tags: readonly string[];
  /** What it asks of parameters; left out for nothing. Held to where the API says `validate`. */
  readonly checks?: readonly ParameterCheck[];
  /** `%2F` in a segment of its path is a part of the segment; left out for no. */
  readonly keepsEncodedSlashes?: boolean;
}

/** Operations by the API's `namespace/name`. */
export type ApiOperations = ReadonlyMap<string, readonly ApiOperation[]>;

export interface ApiDefinition {
  readonly namespace: string | null;
  readonly name: string;
  readonly selector: Readonly<Record<string, string>>;
  /** Where the description is, or null for an API whose operations are all in `operations`. */
  readonly openapi: ApiSource | null;
  readonly grpc: ApiSource | null;
  readonly operations: readonly ApiOperation[];
  /** Null where the document does not say: then it is `Deny` for the workloads that the API selects. */
  readonly unknownOperations: 'Deny' | 'Report' | 'Allow' | null;
  readonly validate: readonly ('path' | 'query')[];
  readonly pathPolicy: 'none' | 'base' | 'merge-slashes' | 'decode-and-merge' | 'strict' | null;
  readonly position: Position;
}

export type ApiSource =
  | { readonly kind: 'file'; readonly file: string; readonly position: Position }
  | { readonly kind: 'configMap'; readonly name: string; readonly key: string };

/** The envelope, or null when `faults` says why not. */
export function readApiDefinition(document: FieldReader, faults: FaultList): ApiDefinition | null {
  const before = faults.faults.length;
  const { name, namespace } = readMetadata(document, faults);
  const spec = document.map('spec');
  document.finish();
  if (spec === null) {
    faults.add('PN0204', document.position, 'spec', 'Cannot read the API: spec is missing');
    return null;
  }
  refuseTargets(spec, faults);
  const definition = {
    selector: readSelector(spec, faults),
    openapi: readSource(spec, 'openapi', faults),
    grpc: readSource(spec, 'grpc', faults),
    operations: readOperations(spec, faults),
    unknownOperations: spec.word('unknownOperations', ['Deny', 'Report', 'Allow']),
    validate: readValidate(spec, faults),
    pathPolicy: spec.word('pathPolicy', ['none', 'base', 'merge-slashes', 'decode-and-merge', 'strict']),
    position: document.position,
  };
  if (definition.openapi === null && definition.grpc === null && definition.operations.length === 0) {
    const message = 'Cannot read the API: it has none of openapi, grpc and operations';
    faults.add('PN0204', spec.position, spec.path, message);
  }
  const slashes = encodedSlashFault(definition);
  if (slashes !== null) faults.add('PN0205', spec.where('pathPolicy'), spec.at('pathPolicy'), slashes.message, slashes.fix);
  spec.finish();
  return faults.faults.length > before || name === null ? null : { namespace, name, ...definition };
}

function readSource(spec: FieldReader, field: 'openapi' | 'grpc', faults: FaultList): ApiSource | null {
  const reader = spec.map(field);
  if (reader === null) return null;
  const file = reader.hasValue('file') ? reader.text('file') : null;
  const map = reader.map('configMapRef');
  const [name, key] = [map?.text('name') ?? '', map?.text('key') ?? ''];
  map?.finish();
  reader.pass('file');
  reader.finish();
  if ((file === null) === (map === null) || (map !== null && (name === '' || key === ''))) {
    const fix = 'Write { file: openapi.yaml } or { configMapRef: { name: ..., key: ... } }';
    faults.add('PN0204', reader.position, reader.path, `Cannot read ${field}: wanted one place of the description`, fix);
  }
  return file === null ? { kind: 'configMap', name, key } : { kind: 'file', file, position: reader.where('file') };
}

function readOperations(spec: FieldReader, faults: FaultList): readonly ApiOperation[] {
  const seen = new Set<string>();
  return spec.maps('operations').map((reader) => {
    const id = reader.text('id') ?? '';
    const method = reader.text('method') ?? '';
    const path = reader.text('path') ?? '';
    const tags = reader.texts('tags', () => {});
    const checks = readParameterChecks(reader, path, faults);
    const keepsEncodedSlashes = reader.word('encodedSlashes', ['Keep', 'Refuse']) === 'Keep';
    reader.finish();
    if (id === '' || seen.has(id) || id.startsWith('tag:')) {
      faults.add(
        'PN0309',
        reader.where('id'),
        reader.at('id'),
        `Cannot read the operation "${id}": its id is no name of its own`,
      );
    }
    seen.add(id);
    if (!/^[A-Z]+$/.test(method)) {
      faults.add(
        'PN0212',
        reader.where('method'),
        reader.at('method'),
        `Cannot read the method "${method}"`,
        'Write it like GET',
      );
    }
    const wrong = path.startsWith('/')
      ? checkPath(path)
      : { code: 'PN0304' as const, message: `Cannot read the path "${path}"`, fix: null };
    if (wrong !== null) faults.add(wrong.code, reader.where('path'), reader.at('path'), wrong.message, wrong.fix);
    const kept = keepsEncodedSlashes ? { keepsEncodedSlashes } : {};
    return { id, method, path, tags, ...(checks.length === 0 ? {} : { checks }), ...kept };
  });
}

function readValidate(spec: FieldReader, faults: FaultList): readonly ('path' | 'query')[] {
  const found: ('path' | 'query')[] = [];
  spec.texts('validate', (text, at, path) => {
    if (text === 'path' || text === 'query') found.push(text);
    else faults.add('PN0212', at, path, `Cannot read "${text}"`, 'Known: path, query');
  });
  return found;
}
