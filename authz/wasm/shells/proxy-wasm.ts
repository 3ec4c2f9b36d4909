/**
 * Policies as a module of proxy-wasm 0.2.1 (github.com/proxy-wasm/spec): Envoy and other proxies load it as an HTTP filter. What it
 * knows of the connection comes from Envoy's attributes, claims from the metadata of its jwt_authn filter. Whatever the host refuses
 * to tell, other than that it is not there, is a denial.
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
import { PROXY_ALLOCATOR, PROXY_IMPORTS, proxyFunctions } from './proxy-functions.ts';
import type { Property, ProxyTables } from './proxy-functions.ts';
import { shellAddresses } from './shell-memory.ts';
import { STRUCT_GLOBALS, structFunctions } from './struct-functions.ts';
import { textFunctions } from './text-functions.ts';

export interface ProxyWasmOptions {
  readonly whenNoneSelects: 'allow' | 'deny';
  /** Keys of the filter metadata that lead to the claims of the verified token. */
  readonly tokenPath: readonly string[];
}

/** @throws {PosternError} `policy_not_expressible` when the policies read what the interface does not give */
export function buildProxyWasmModule(plan: Plan, set: WorkloadPolicies, options: ProxyWasmOptions): Uint8Array {
  refuseInexpressible('proxy-wasm', plan, set, NOT_GIVEN);
  const image = buildImage(plan, (memory, slots) => ({
    proxy: writeTables(memory, slots, plan, options),
    identity: writeIdentityTexts(memory, set.trustDomains),
  }));
  const { identity, proxy } = image.shell;
  const addresses = shellAddresses(image.scratchStart);
  const { scratch } = addresses;
  const requestPrincipal = image.slots.find(({ source }) => source.kind === 'requestPrincipal')?.descriptor ?? 0;
  const functions = [
    ...evaluatorFunctions(image, false).map((source) => ({ ...source, isExported: false })),
    ...heapFunctions(PROXY_ALLOCATOR),
    ...textFunctions(scratch),
    ...identityFunctions(addresses, identitySlots(image.slots), identity),
    ...addressFunctions(scratch),
    ...treeFunctions(scratch, requestPrincipal),
    ...structFunctions(),
    ...proxyFunctions(image, addresses, proxy),
  ];
  const variable = (name: string, initial: number) => ({ name, initial, isMutable: true, isExported: false });
  return encodeModule({
    functions,
    imports: PROXY_IMPORTS,
    globals: [variable('heap', addresses.heap), ...[...TREE_GLOBALS, ...STRUCT_GLOBALS].map((name) => variable(name, 0))],
    memoryKind: 'growing',
    memoryPages: Math.ceil((addresses.heap + HEAP_BYTES) / PAGE_BYTES),
    image: image.bytes,
  }).slice();
}

function writeTables(memory: Memory, slots: readonly CompiledSlot[], plan: Plan, options: ProxyWasmOptions): ProxyTables {
  const leaves = [...slots.flatMap(headerLeaf), ...claimLeaves(slots, [METADATA, ...options.tokenPath])];
  const tree = writeTree(memory, leaves, [[HEADERS], [METADATA]]);
  const readsClaims = leaves.some(({ path }) => path[0] === METADATA);
  const failure: Result = { status: 500, details: detailsOf('engine_error') };
  // What only leads on never ends a decision; should it, that is an error.
  const outcomes = plan.outcomes.map((outcome) => (outcome === null ? failure : resultOf(outcome, options)));
  return {
    properties: slots.flatMap((slot, index) => propertyOf(memory, slot, isFirstOfIdentity(slots, index))),
    metadata: readsClaims ? writeText(memory, 'metadata') : null,
    tree,
    headersNode: tree.nodeAt([HEADERS]),
    metadataNode: tree.nodeAt([METADATA]),
    results: writeResults(memory, [failure, ...outcomes]),
    body: writeText(memory, 'denied by policy'),
  };
}

interface Result {
  readonly status: number;
  readonly details: string;
}

function resultOf({ code, effect, policy, rule }: CompiledOutcome, { whenNoneSelects }: ProxyWasmOptions): Result {
  if (code !== 'none_selected') return { status: effect === 'allow' ? 0 : 403, details: detailsOf(code, policy, rule) };
  return whenNoneSelects === 'allow'
    ? { status: 0, details: detailsOf('allowed_no_policy') }
    : { status: 403, details: detailsOf('denied_no_policy') };
}

/** For the proxy's access log: no blanks. */
function detailsOf(code: string, policy: string | null = null, rule: string | null = null): string {
  const where = policy === null ? '' : `:${policy}${rule === null ? '' : `#${rule}`}`;
  return `postern:${code}${where}`.replaceAll(/\s/g, '_');
}

/** Rows of three words: status (0 for an allowance), details as address and length. */
function writeResults(memory: Memory, rows: readonly Result[]): number {
  const words = rows.flatMap(({ details, status }) => {
    const { at, length } = writeText(memory, details);
    return [status, at, length];
  });
  return memory.addWords(words);
}

function headerLeaf({ descriptor: slot, source }: CompiledSlot): readonly TreeLeaf[] {
  const leaf = (kind: TreeLeaf['action']['kind'], name: string): readonly TreeLeaf[] => [
    { path: [HEADERS, name], action: { kind, slot } },
  ];
  switch (source.kind) {
    case 'method':
      return leaf(DO.text, ':method');
    case 'authority':
      return leaf(DO.host, ':authority');
    case 'path':
      return leaf(DO.path, ':path');
    case 'query':
      return leaf(DO.query, ':path');
    case 'header':
      return leaf(DO.text, source.name);
    default:
      return [];
  }
}

/** An identity is asked for once, whatever is read of it. */
function isFirstOfIdentity(slots: readonly CompiledSlot[], index: number): boolean {
  return slots.findIndex(({ source }) => IDENTITY.has(source.kind)) === index;
}

function propertyOf(memory: Memory, { descriptor: slot, source }: CompiledSlot, isFirst: boolean): readonly Property[] {
  const property = (put: Property['put'], ...path: readonly string[]): readonly Property[] => [
    { name: writeText(memory, path.join('\0')), put, slot },
  ];
  if (IDENTITY.has(source.kind)) return isFirst ? property('putPrincipal', 'connection', 'uri_san_peer_certificate') : [];
  switch (source.kind) {
    case 'remoteIp':
      return property('putAddress', 'source', 'address');
    case 'destinationIp':
      return property('putAddress', 'destination', 'address');
    case 'destinationPort':
      return property('putPortNumber', 'destination', 'port');
    case 'sni':
      return property('putLower', 'connection', 'requested_server_name');
    default:
      return [];
  }
}

function writeText(memory: Memory, text: string): { readonly at: number; readonly length: number } {
  const bytes = Buffer.from(text, 'utf8').toString('latin1');
  const at = memory.reserve(bytes.length, 1);
  memory.setText(at, bytes);
  return { at, length: bytes.length };
}

const HEADERS = 'headers';
const METADATA = 'metadata';
const IDENTITY: ReadonlySet<SlotSource['kind']> = new Set([
  'principal',
  'trustDomain',
  'namespace',
  'account',
  'anyNamespace',
  'anyAccount',
]);
/** The address of the socket's peer is not among Envoy's attributes: `source.address` is the client's as Envoy takes it. */
const NOT_GIVEN: ReadonlySet<SlotSource['kind']> = new Set(['sourceIp', 'tls', 'protocol', 'tag']);
const PAGE_BYTES = 65_536;
const HEAP_BYTES = 65_536;
