/**
 * Reads a `kind: Proxy` file into what the data process gets, or says what is wrong with it and where. Runs in the preparer and
 * in the command line, never in the data process.
 */
import { resolve } from 'node:path';

import { z } from 'zod';

import type { DocumentFault } from '../prepare.ts';
import { authorizerFindings } from './authorizer-checks.ts';
import { contradictions } from './checks.ts';
import { faultOf, schemaFaults } from './faults.ts';
import type { ProxyConfig } from './proxy.ts';
import { resolveConfig } from './resolve.ts';
import { proxySchema } from './schema.ts';
import { LocatedDocument, locateDocument } from './located-document.ts';
import type { DocumentPath } from './located-document.ts';

export interface ReadConfig {
  /** Null when there is any fault. */
  readonly config: ProxyConfig | null;
  readonly faults: readonly DocumentFault[];
}

/**
 * Reads the text of a file. Never throws.
 *
 * @param file  its path, for the faults and to resolve the paths in it
 */
export function readProxyConfig(text: string, file: string): ReadConfig {
  const document = locateDocument(text, file);
  if (!(document instanceof LocatedDocument)) return { config: null, faults: [document] };

  const parsed = proxySchema.safeParse(document.value);
  if (!parsed.success) return { config: null, faults: schemaFaults(file, document, parsed.error, knownKeys) };

  const { authorizers } = parsed.data.spec;
  const misshapen = authorizerFindings(authorizers);
  const config = resolveConfig(parsed.data, resolve(file));
  const found = [...misshapen, ...contradictions(config)].map((finding) => faultOf(file, document, finding));
  return found.length > 0 ? { config: null, faults: found } : { config, faults: [] };
}

/** The keys that the schema knows for the map at `path`. */
function knownKeys(path: DocumentPath): readonly string[] {
  let schema: unknown = proxySchema;
  for (const step of path) {
    const inner = unwrap(schema);
    if (inner instanceof z.ZodObject) schema = new Map<unknown, unknown>(Object.entries(inner.shape)).get(step);
    else if (inner instanceof z.ZodArray) schema = inner.element;
    else return [];
  }
  const inner = unwrap(schema);
  return inner instanceof z.ZodObject ? Object.keys(inner.shape) : [];
}

function unwrap(schema: unknown): unknown {
  let inner = schema;
  while (inner instanceof z.ZodOptional || inner instanceof z.ZodNullable || inner instanceof z.ZodPrefault) {
    inner = inner.def.innerType;
  }
  return inner;
}
