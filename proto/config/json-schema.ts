/** The JSON Schema of `kind: Proxy` (draft 2020-12), for editors and for the configuration reference. */
import { z } from 'zod';

import { proxySchema } from './schema.ts';

export type JsonSchema = z.core.JSONSchema.JSONSchema;

/** Describes what may stand in a file, not what becomes of it. */
export function configJsonSchema(): JsonSchema {
  const { $schema, ...rest } = z.toJSONSchema(proxySchema, {
    io: 'input',
    override: ({ jsonSchema }) => withoutBounds(jsonSchema),
  });
  return { $schema, $id: CONFIG_SCHEMA_ID, title: 'Postern: kind Proxy, postern.mesh/v1alpha1', ...rest } as JsonSchema;
}

/** Bounds of zod's own that say nothing: the largest safe integer. */
function withoutBounds(schema: JsonSchema): void {
  if (schema.maximum === Number.MAX_SAFE_INTEGER) delete schema.maximum;
  if (schema.minimum === Number.MIN_SAFE_INTEGER) delete schema.minimum;
}

const CONFIG_SCHEMA_ID = 'https://postern.mesh/schemas/proxy.v1alpha1.json';
