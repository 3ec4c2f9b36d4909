/** An API as its description tells it: what policies are written about, and what else the description says of each operation. */
import type { ApiOperation } from '../policy/api-definition.ts';
import type { ApiFault } from './faults.ts';

export interface ApiDescription {
  readonly format: 'openapi-2.0' | 'openapi-3.0' | 'openapi-3.1' | 'grpc';
  /** As the description calls itself, or ''. */
  readonly title: string;
  readonly operations: readonly DescribedOperation[];
}

/** The description, or null with a fault that refuses it. */
export interface ApiReading {
  readonly description: ApiDescription | null;
  readonly faults: readonly ApiFault[];
}

export interface DescribedOperation extends ApiOperation {
  /** Path within the description, for messages. */
  readonly where: string;
  /** The path as written, below its base path. */
  readonly template: string;
  /** Any of them admits; within one, all schemes. Empty where nothing is asked for. */
  readonly security: readonly SecurityRequirement[];
  readonly parameters: readonly ApiParameter[];
  readonly keepsEncodedSlashes: boolean;
}

/** Scopes by the name of their scheme. */
export type SecurityRequirement = Readonly<Record<string, readonly string[]>>;

export interface ApiParameter {
  readonly name: string;
  readonly in: 'path' | 'query';
  readonly required: boolean;
  /** `string`, `integer`, `number`, `boolean`, `array`, `object`; null where the description does not say. */
  readonly type: string | null;
  readonly format: string | null;
  readonly pattern: string | null;
  readonly values: readonly string[] | null;
}
