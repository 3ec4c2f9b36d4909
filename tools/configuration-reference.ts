/** The reference page of a configuration file, from its JSON Schema: one row a setting, in the order of the file. */
import type { JsonSchema } from '#proto/config/json-schema.ts';

import { code, table } from './markdown.ts';

export function configurationReference(schema: JsonSchema): string {
  const rows = [...settings(schema, '')];
  return `# Configuration

A sidecar is described by one file of \`kind: Proxy\`. \`postern proxy -c FILE --check\` validates it, \`postern schema config\`
prints its JSON Schema for editors. Unknown keys are refused. Paths are relative to the file; durations read \`250ms\`, \`5s\`,
\`1m\`, \`1h\`; sizes are bytes or read \`16KiB\`.

${table(['setting', 'type', 'default', 'what it does'], rows)}`;
}

/** Rows of a map's settings and of all below them. */
function* settings(schema: JsonSchema, prefix: string): Generator<readonly string[]> {
  for (const [name, property] of Object.entries(schema.properties ?? {})) {
    if (typeof property === 'boolean') continue;
    const path = `${prefix}${name}`;
    const isRequired = schema.required?.includes(name) === true && property.default === undefined;
    yield [code(path), typeOf(property), byDefault(property, isRequired), property.description ?? ''];
    yield* settings(bodyOf(property), isList(property) ? `${path}[].` : `${path}.`);
  }
}

/** The map that a setting is, or that each item of it is. */
function bodyOf(schema: JsonSchema): JsonSchema {
  const [map] = (schema.anyOf ?? []).filter(
    (option): option is JsonSchema => typeof option !== 'boolean' && option.type === 'object',
  );
  const items = schema.items;
  if (typeof items === 'object' && !Array.isArray(items)) return items;
  return map ?? schema;
}

function isList(schema: JsonSchema): boolean {
  return schema.type === 'array';
}

function typeOf(schema: JsonSchema): string {
  const patterns = [schema, ...(schema.anyOf ?? [])].map((option) => (typeof option === 'boolean' ? '' : (option.pattern ?? '')));
  if (patterns.some((pattern) => pattern.includes('KiB'))) return 'size';
  if (patterns.some((pattern) => pattern.includes('ms'))) return 'duration';
  if (schema.anyOf !== undefined) {
    return schema.anyOf.map((option) => (typeof option === 'boolean' ? '' : typeOf(option))).join(' or ');
  }
  if (schema.enum !== undefined) return schema.enum.map((value) => code(String(value))).join(', ');
  if (schema.const !== undefined) return code(String(schema.const));
  if (isList(schema))
    return `list of ${typeof schema.items === 'object' && !Array.isArray(schema.items) ? typeOf(schema.items) : 'values'}`;
  if (schema.type === 'object') return schema.properties === undefined ? 'map of text' : 'map';
  if (schema.type === 'integer') {
    return schema.maximum === undefined ? 'whole number' : `${schema.minimum ?? ''}-${schema.maximum}`;
  }
  return schema.type === 'string' ? 'text' : String(schema.type ?? 'any');
}

function byDefault(schema: JsonSchema, isRequired: boolean): string {
  if (isRequired) return 'required';
  if (schema.default === undefined) return 'none';
  const value = JSON.stringify(schema.default);
  return value === '{}' || value === '[]' ? '' : code(typeof schema.default === 'string' ? schema.default : value);
}
