/**
 * Every builtin function that an evaluation may call, by its name in Rego, and the few that are refused, with the reason. A policy
 * that needs any other name is refused when it is loaded.
 */
import type { Builtin, BuiltinContext, BuiltinTable } from './builtin.ts';
import { RegoObject, RegoSet, isArray } from '../value.ts';
import type { RegoValue } from '../value.ts';
import { valueText } from '../value-text.ts';
import { COLLECTION_BUILTINS } from './collections.ts';
import { CRYPTO_BUILTINS } from './crypto.ts';
import { DOCUMENT_BUILTINS } from './documents.ts';
import { ENCODING_BUILTINS } from './encodings.ts';
import { JWT_BUILTINS } from './jwt.ts';
import { NET_BUILTINS } from './net.ts';
import { NUMBER_BUILTINS } from './numbers.ts';
import { PATTERN_BUILTINS } from './patterns.ts';
import { STRING_BUILTINS } from './strings.ts';
import { TIME_BUILTINS } from './time.ts';
import { VERSION_BUILTINS } from './versions.ts';

/** The builtin of that name, or null when it is refused or unknown. */
export function findBuiltin(name: string): Builtin | null {
  return BUILTINS.get(name) ?? null;
}

/** Why a name that OPA knows is not here. */
export function refusalOf(name: string): string {
  return REFUSED.get(name) ?? 'no such builtin is known';
}

/** Calls a builtin and pays for what goes in and comes out. */
export function callBuiltin(builtin: Builtin, args: readonly RegoValue[], context: BuiltinContext): RegoValue | undefined {
  let size = CALL_COST;
  for (const arg of args) size += sizeOf(arg);
  context.meter.spend(size);
  const result = builtin(args, context);
  if (result !== undefined) context.meter.hold(sizeOf(result) * 2);
  return result;
}

/** Characters, elements or pairs: what a pass over the value's top takes. */
function sizeOf(value: RegoValue): number {
  if (typeof value === 'string' || isArray(value)) return value.length;
  return value instanceof RegoObject || value instanceof RegoSet ? value.size : 1;
}

/** Parts are texts, or sets of what an expression in braces came to: nothing, or one value. */
function templateString(parts: RegoValue | undefined): string | undefined {
  if (!isArray(parts)) return undefined;
  let out = '';
  for (const part of parts) {
    if (part instanceof RegoSet) {
      const [value] = part.elements();
      if (part.size > 1) return undefined;
      out += value === undefined ? '<undefined>' : typeof value === 'string' ? value : valueText(value);
    } else out += typeof part === 'string' ? part : valueText(part);
  }
  return out;
}

const OTHERS: BuiltinTable = {
  trace: () => true,
  'internal.print': () => true,
  'internal.template_string': ([parts]) => templateString(parts),
  // What OPA tells of its host (environment, version, configuration) is none of a policy's business here.
  'opa.runtime': () => new RegoObject(),
};

const BUILTINS: ReadonlyMap<string, Builtin> = new Map(
  [
    COLLECTION_BUILTINS,
    CRYPTO_BUILTINS,
    DOCUMENT_BUILTINS,
    ENCODING_BUILTINS,
    JWT_BUILTINS,
    NET_BUILTINS,
    NUMBER_BUILTINS,
    PATTERN_BUILTINS,
    STRING_BUILTINS,
    TIME_BUILTINS,
    VERSION_BUILTINS,
    OTHERS,
  ].flatMap((table) => Object.entries(table)),
);

const NO_NETWORK = 'an evaluation asks the network nothing';
const NO_CHANCE = 'a decision may not depend on chance';
const NO_SIGNING = 'an evaluation signs nothing';
const NO_CERTIFICATES = 'certificates are verified before a policy is asked, and come to it as identities';
const NOT_AUTHORIZATION = 'it is no part of the subset for authorization';
const REFUSED: ReadonlyMap<string, string> = new Map([
  ['http.send', NO_NETWORK],
  ['net.lookup_ip_addr', NO_NETWORK],
  ['rand.intn', NO_CHANCE],
  ['uuid.rfc4122', NO_CHANCE],
  ['io.jwt.encode_sign', NO_SIGNING],
  ['io.jwt.encode_sign_raw', NO_SIGNING],
  ['providers.aws.sign_req', NO_SIGNING],
  ['crypto.parse_private_keys', NO_SIGNING],
  ['crypto.x509.parse_keypair', NO_SIGNING],
  ['crypto.x509.parse_rsa_private_key', NO_SIGNING],
  ['crypto.x509.parse_and_verify_certificates', NO_CERTIFICATES],
  ['crypto.x509.parse_and_verify_certificates_with_options', NO_CERTIFICATES],
  ['crypto.x509.parse_certificate_request', NO_CERTIFICATES],
  ['crypto.x509.parse_certificates', NO_CERTIFICATES],
  ['graphql.is_valid', NOT_AUTHORIZATION],
  ['graphql.parse', NOT_AUTHORIZATION],
  ['graphql.parse_and_verify', NOT_AUTHORIZATION],
  ['graphql.parse_query', NOT_AUTHORIZATION],
  ['graphql.parse_schema', NOT_AUTHORIZATION],
  ['graphql.schema_is_valid', NOT_AUTHORIZATION],
  ['json.match_schema', NOT_AUTHORIZATION],
  ['json.verify_schema', NOT_AUTHORIZATION],
  ['regex.globs_match', NOT_AUTHORIZATION],
  ['rego.parse_module', NOT_AUTHORIZATION],
  ['strings.render_template', NOT_AUTHORIZATION],
  ['uri.is_valid', NOT_AUTHORIZATION],
  ['uri.parse', NOT_AUTHORIZATION],
]);
/** Steps that even a call of nothing takes. */
const CALL_COST = 16;
