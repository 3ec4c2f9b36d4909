/**
 * An OpenAPI document (2.0, 3.0, 3.1), references already resolved, as operations. What the document says of bodies, answers,
 * callbacks and webhooks says nothing about who may call, and is passed over.
 */
import type { ParameterCheck, ValueFacet } from '../policy/parameters.ts';
import type { ApiDescription, ApiParameter, ApiReading, DescribedOperation, SecurityRequirement } from './description.ts';
import { ApiFaults, isRefusal } from './faults.ts';
import { isMembers, listAt, membersAt, textAt } from './members.ts';
import type { Members } from './members.ts';
import { checksOf, facetsOf } from './parameter-facets.ts';
import { checkTogether, convertTemplate } from './path-templates.ts';
import { basePathOf, serverPathsOf } from './servers.ts';

export function readOpenApi(document: unknown, file: string): ApiReading {
  const faults = new ApiFaults(file);
  const root = isMembers(document) ? document : {};
  const format = formatOf(root);
  if (format === null) {
    const found = textAt(root, 'openapi') ?? textAt(root, 'swagger') ?? 'nothing';
    faults.add('api_version', '', `Cannot read the version "${found}": wanted swagger 2.0, openapi 3.0.x or 3.1.x`);
    return { description: null, faults: faults.list };
  }
  const operations = new DocumentReader(root, format, faults).read();
  checkTogether(operations, faults);
  if (operations.length === 0) faults.add('api_empty', 'paths', 'The description has no operation');
  const title = textAt(membersAt(root, 'info'), 'title') ?? '';
  const isRefused = faults.list.some(isRefusal);
  return { description: isRefused ? null : { format, title, operations }, faults: faults.list };
}

/** Null for a version that is not read. */
export function formatOf(root: object): Exclude<ApiDescription['format'], 'grpc'> | null {
  if (!isMembers(root)) return null;
  if (textAt(root, 'swagger') === '2.0') return 'openapi-2.0';
  const version = /^3\.([01])\.\d+$/.exec(textAt(root, 'openapi') ?? '')?.[1];
  if (version === undefined) return null;
  return version === '0' ? 'openapi-3.0' : 'openapi-3.1';
}

/** One operation where it stands. */
interface Place {
  readonly template: string;
  readonly item: Members;
  readonly method: string;
  readonly operation: Members;
  readonly where: string;
}

class DocumentReader {
  readonly #root: Members;
  readonly #format: ApiDescription['format'];
  readonly #faults: ApiFaults;
  readonly #operations: DescribedOperation[] = [];
  /** Places by the id that stands there. */
  readonly #ids = new Map<string, string>();

  constructor(root: Members, format: ApiDescription['format'], faults: ApiFaults) {
    this.#root = root;
    this.#format = format;
    this.#faults = faults;
  }

  read(): readonly DescribedOperation[] {
    for (const [template, item] of Object.entries(membersAt(this.#root, 'paths'))) {
      if (template.startsWith('x-') || !isMembers(item)) continue;
      for (const method of METHODS) {
        const operation = Object.hasOwn(item, method) ? item[method] : undefined;
        if (isMembers(operation))
          this.#readOperation({ template, item, method, operation, where: `paths.${template}.${method}` });
      }
    }
    return this.#operations;
  }

  #readOperation(place: Place): void {
    const { method, operation, template, where } = place;
    const bases = this.#bases(place);
    const id = this.#idOf(place);
    const parameters = parametersOf(place);
    const checks = this.#checks(place, parameters);
    const common = {
      method: method.toUpperCase(),
      tags: listAt(operation, 'tags').filter((tag) => typeof tag === 'string'),
      where,
      template,
      security: this.#security(place),
      parameters,
      ...(checks.length === 0 ? {} : { checks }),
      keepsEncodedSlashes: this.#keepsEncodedSlashes(place),
    };
    if (bases.length > 1) {
      const names = bases.map((base, index) => nameBelow(id, base, index)).join(', ');
      this.#faults.add(
        'api_servers_several',
        where,
        `The operation "${id}" has ${bases.length} base paths: its names are ${names}`,
      );
    }
    for (const [index, base] of bases.entries()) {
      const converted = convertTemplate(`${base}${template}`);
      if (!('path' in converted)) {
        const message = `Cannot import the path "${base}${template}": ${converted.found}`;
        this.#faults.add(converted.code, where, message, converted.fix);
        continue;
      }
      if (this.#operations.length === MAX_OPERATIONS) {
        this.#faults.add('api_too_large', 'paths', `Cannot import the API: found more than ${MAX_OPERATIONS} operations`);
      }
      if (this.#operations.length >= MAX_OPERATIONS) return;
      this.#operations.push({ id: nameBelow(id, base, index), path: converted.path, ...common });
    }
  }

  #bases({ item, operation, template, where }: Place): readonly string[] {
    if (this.#format === 'openapi-2.0') return basePathOf(this.#root, this.#faults);
    const owners = [
      { of: operation, where },
      { of: item, where: `paths.${template}` },
      { of: this.#root, where: '' },
    ];
    return serverPathsOf(owners, this.#faults);
  }

  #idOf({ method, operation, template, where }: Place): string {
    const written = textAt(operation, 'operationId') ?? '';
    const id = written === '' ? `${method.toUpperCase()} ${template}` : written;
    if (written === '') {
      this.#faults.add('api_operation_unnamed', where, `The operation has no operationId: its name is "${id}"`, 'Give it one');
    }
    const taken = this.#ids.get(id);
    if (taken !== undefined || id.startsWith('tag:')) {
      const why = taken === undefined ? '"tag:" stands before the name of a tag' : `it stands at ${taken} already`;
      this.#faults.add('api_operation_id', where, `Cannot import the operation "${id}": ${why}`, 'Give it another operationId');
    }
    this.#ids.set(id, where);
    return id;
  }

  #security({ operation, where }: Place): readonly SecurityRequirement[] {
    const owner = Object.hasOwn(operation, 'security') ? operation : this.#root;
    const requirements = listAt(owner, 'security').filter(isMembers);
    const isOpen = requirements.length === 0 || requirements.some((requirement) => Object.keys(requirement).length === 0);
    const schemes =
      this.#format === 'openapi-2.0'
        ? membersAt(this.#root, 'securityDefinitions')
        : membersAt(membersAt(this.#root, 'components'), 'securitySchemes');
    if (isOpen && Object.keys(schemes).length > 0) {
      this.#faults.add(
        'api_operation_open',
        where,
        'The operation asks for no security',
        'Say security of it, if it is not public',
      );
    }
    // A requirement that asks for nothing admits everybody, whatever stands beside it.
    if (isOpen) return [];
    return requirements.map((requirement) =>
      Object.fromEntries(
        Object.keys(requirement).map((scheme) => [
          scheme,
          listAt(requirement, scheme).filter((scope) => typeof scope === 'string'),
        ]),
      ),
    );
  }

  #checks(place: Place, parameters: readonly ApiParameter[]): readonly ParameterCheck[] {
    const facetsByName = new Map<string, readonly ValueFacet[]>();
    for (const [key, parameter] of writtenParameters(place)) {
      const { facets, unchecked } = facetsOf(parameter, this.#format === 'openapi-2.0');
      facetsByName.set(key, facets);
      if (unchecked.length === 0) continue;
      const name = textAt(parameter, 'name') ?? '';
      const message = `Of the parameter "${name}" is not checked: ${unchecked.join(', ')}`;
      this.#faults.add('api_parameter_unchecked', place.where, message);
    }
    return checksOf(parameters, place.template, facetsByName);
  }

  /** Of the nearest that says it: operation, path, document. */
  #keepsEncodedSlashes({ item, operation, where }: Place): boolean {
    const owner = [operation, item, this.#root].find((candidate) => Object.hasOwn(candidate, PATH_MEANING));
    const meaning = owner?.[PATH_MEANING] ?? 'canonical';
    if (meaning !== KEEPS && meaning !== 'canonical') {
      const message = `Cannot read ${PATH_MEANING} "${typeof meaning === 'string' ? meaning : typeof meaning}": wanted ${KEEPS} or canonical`;
      this.#faults.add('api_path_meaning', where, message, null);
    }
    return meaning === KEEPS;
  }
}

/** The first base path has the name alone. */
function nameBelow(id: string, base: string, index: number): string {
  return index === 0 ? id : `${id}@${base === '' ? '/' : base}`;
}

/** Those of the operation go before those of its path. */
function writtenParameters({ item, operation }: Place): ReadonlyMap<string, Members> {
  const found = new Map<string, Members>();
  for (const parameter of [...listAt(operation, 'parameters'), ...listAt(item, 'parameters')]) {
    if (!isMembers(parameter)) continue;
    const name = textAt(parameter, 'name');
    const place = textAt(parameter, 'in');
    if (name === null || (place !== 'path' && place !== 'query') || found.has(`${place} ${name}`)) continue;
    found.set(`${place} ${name}`, parameter);
  }
  return found;
}

function parametersOf(place: Place): readonly ApiParameter[] {
  return [...writtenParameters(place).values()].map((parameter) => {
    const isInPath = parameter['in'] === 'path';
    const required = isInPath || parameter['required'] === true;
    return { name: textAt(parameter, 'name') ?? '', in: isInPath ? 'path' : 'query', required, ...constraintsOf(parameter) };
  });
}

/** In 2.0 they stand in the parameter itself, in 3.x in its schema. */
function constraintsOf(parameter: Members): Pick<ApiParameter, 'type' | 'format' | 'pattern' | 'values'> {
  const schema = Object.hasOwn(parameter, 'schema') ? membersAt(parameter, 'schema') : parameter;
  const values = listAt(schema, 'enum').filter((value) => typeof value === 'string' || typeof value === 'number');
  return {
    type: textAt(schema, 'type'),
    format: textAt(schema, 'format'),
    pattern: textAt(schema, 'pattern'),
    values: values.length === 0 ? null : values.map(String),
  };
}

const METHODS = ['get', 'put', 'post', 'delete', 'options', 'head', 'patch', 'trace'] as const;
const PATH_MEANING = 'x-postern-path';
const KEEPS = 'keep-encoded-slashes';
const MAX_OPERATIONS = 10_000;
