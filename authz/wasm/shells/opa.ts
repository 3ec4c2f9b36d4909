/**
 * Policies as a module of OPA's ABI 1.3 (OPA documentation, "WebAssembly"): any of OPA's SDKs loads it, and it answers as
 * opa-envoy-plugin's policies do, from that plugin's input document (version 3). Nothing but memory is imported. `data` is taken and
 * not looked at.
 */
import type { CompiledOutcome, CompiledSlot, SlotSource } from '../../plan/compiled.ts';
import type { Plan } from '../../plan/plan.ts';
import type { WorkloadPolicies } from '../../policy/workload-policies.ts';
import { encodeModule } from '../encoder.ts';
import { evaluatorFunctions } from '../evaluator.ts';
import { buildImage } from '../image.ts';
import type { Memory } from '../memory.ts';
import { addressFunctions } from './address-functions.ts';
import { claimLeaves } from './claim-leaves.ts';
import { identitySlots, refuseInexpressible } from './expressible.ts';
import { heapFunctions } from './heap-functions.ts';
import { identityFunctions, writeIdentityTexts } from './identity-functions.ts';
import { DO, TREE_GLOBALS, treeFunctions, writeTree } from './input-tree.ts';
import type { TreeLeaf } from './input-tree.ts';
import { jsonFunctions } from './json-functions.ts';
import { OPA_ALLOCATOR, opaFunctions } from './opa-functions.ts';
import type { OpaTables } from './opa-functions.ts';
import { shellAddresses } from './shell-memory.ts';
import { textFunctions } from './text-functions.ts';

export interface OpaOptions {
  readonly revision: string;
  readonly whenNoneSelects: 'allow' | 'deny';
  /** Name under which hosts evaluate the policies. */
  readonly entrypoint: string;
  /** Keys of the input document that lead to the claims of the verified token. */
  readonly tokenPath: readonly string[];
}

/** @throws {PosternError} `policy_not_expressible` when the policies read what the input document does not say */
export function buildOpaModule(plan: Plan, set: WorkloadPolicies, options: OpaOptions): Uint8Array {
  refuseInexpressible('OPA', plan, set, NOT_SAID);
  const image = buildImage(plan, (memory, slots) => ({
    opa: writeTables(memory, slots, plan, options),
    identity: writeIdentityTexts(memory, set.trustDomains),
  }));
  const { opa, identity } = image.shell;
  const addresses = shellAddresses(image.scratchStart);
  const { scratch } = addresses;
  const requestPrincipal = image.slots.find(({ source }) => source.kind === 'requestPrincipal')?.descriptor ?? 0;
  const functions = [
    ...evaluatorFunctions(image, false).map((source) => ({ ...source, isExported: false })),
    ...heapFunctions(OPA_ALLOCATOR),
    ...textFunctions(scratch),
    ...identityFunctions(addresses, identitySlots(image.slots), identity),
    ...addressFunctions(scratch),
    ...treeFunctions(scratch, requestPrincipal),
    ...jsonFunctions(addresses.text),
    ...opaFunctions(image, addresses, opa),
  ];
  const variable = (name: string, initial: number) => ({ name, initial, isMutable: true, isExported: false });
  const version = (name: string, initial: number) => ({ name, initial, isMutable: false, isExported: true });
  return encodeModule({
    functions,
    globals: [
      version('opa_wasm_abi_version', 1),
      version('opa_wasm_abi_minor_version', 3),
      variable('heap', addresses.heap),
      ...TREE_GLOBALS.map((name) => variable(name, 0)),
    ],
    memoryKind: 'imported',
    memoryPages: Math.ceil((addresses.heap + HEAP_BYTES) / PAGE_BYTES),
    image: image.bytes,
  }).slice();
}

function writeTables(memory: Memory, slots: readonly CompiledSlot[], plan: Plan, options: OpaOptions): OpaTables {
  const leaves = [...slots.flatMap(attributeLeaf), ...claimLeaves(slots, options.tokenPath)];
  const tree = writeTree(memory, leaves, [HTTP]);
  const failure: Result = { status: 500, fragment: member('engine_error', options) };
  // What only leads on never ends a decision; should it, that is an error.
  const outcomes = plan.outcomes.map((outcome) => (outcome === null ? failure : fragmentOf(outcome, options)));
  const rows: readonly Result[] = [failure, ...outcomes, { status: 400, fragment: member('bad_input', options) }];
  return {
    tree,
    httpNode: tree.nodeAt(HTTP),
    results: writeResults(memory, rows),
    invalid: rows.length - 1,
    entrypoints: writeText(memory, JSON.stringify({ [options.entrypoint]: 0 })),
    builtins: writeText(memory, '{}'),
  };
}

interface Result {
  /** 0 for an allowance. */
  readonly status: number;
  readonly fragment: string;
}

function fragmentOf(outcome: CompiledOutcome, options: OpaOptions): Result {
  const { policy, rule } = outcome;
  if (outcome.code !== 'none_selected') {
    return { status: outcome.effect === 'allow' ? 0 : 403, fragment: member(outcome.code, options, policy, rule) };
  }
  return options.whenNoneSelects === 'allow'
    ? { status: 0, fragment: member('allowed_no_policy', options) }
    : { status: 403, fragment: member('denied_no_policy', options) };
}

function member(code: string, { revision }: OpaOptions, policy: string | null = null, rule: string | null = null): string {
  return JSON.stringify({ code, policy, rule, revision });
}

/** Rows of four words: the result's beginning and its metadata, as address and length each. */
function writeResults(memory: Memory, rows: readonly Result[]): number {
  const heads = new Map<number, readonly [number, number]>();
  const head = (status: number): readonly [number, number] => {
    const known = heads.get(status);
    if (known !== undefined) return known;
    const isAllowed = status === 0 ? '"allowed":true' : `"allowed":false,"http_status":${status}`;
    const { at, length } = writeText(memory, `[{"result":{${isAllowed},"dynamic_metadata":`);
    const made = [at, length] as const;
    heads.set(status, made);
    return made;
  };
  const words = rows.flatMap(({ fragment, status }) => {
    const { at, length } = writeText(memory, `${fragment}}}]`);
    return [...head(status), at, length];
  });
  return memory.addWords(words);
}

function writeText(memory: Memory, text: string): { readonly at: number; readonly length: number } {
  const bytes = Buffer.from(text, 'utf8').toString('latin1');
  const at = memory.reserve(bytes.length, 1);
  memory.setText(at, bytes);
  return { at, length: bytes.length };
}

function attributeLeaf({ descriptor: slot, source }: CompiledSlot): readonly TreeLeaf[] {
  const leaf = (kind: TreeLeaf['action']['kind'], ...path: readonly string[]): readonly TreeLeaf[] => [
    { path: ['attributes', ...path], action: { kind, slot } },
  ];
  switch (source.kind) {
    case 'principal':
    case 'trustDomain':
    case 'namespace':
    case 'account':
    case 'anyNamespace':
    case 'anyAccount':
      return leaf(DO.principal, 'source', 'principal');
    case 'sourceIp':
      return leaf(DO.ip, 'source', 'address', 'socketAddress', 'address');
    case 'destinationIp':
      return leaf(DO.ip, 'destination', 'address', 'socketAddress', 'address');
    case 'destinationPort':
      return leaf(DO.port, 'destination', 'address', 'socketAddress', 'portValue');
    case 'sni':
      return leaf(DO.lower, 'tlsSession', 'sni');
    case 'method':
      return leaf(DO.text, 'request', 'http', 'method');
    case 'authority':
      return leaf(DO.host, 'request', 'http', 'host');
    case 'path':
      return leaf(DO.path, 'request', 'http', 'path');
    case 'query':
      return leaf(DO.query, 'request', 'http', 'path');
    case 'header':
      return leaf(DO.text, 'request', 'http', 'headers', source.name);
    default:
      return [];
  }
}

const HTTP = ['attributes', 'request', 'http'];
const NOT_SAID: ReadonlySet<SlotSource['kind']> = new Set(['remoteIp', 'tls', 'protocol', 'tag']);
const PAGE_BYTES = 65_536;
/** Room for an ordinary input, so that memory seldom grows. */
const HEAP_BYTES = 65_536;
