/**
 * A compiled policy as JSON, without its module and its model, which are parts of their own. Reading it back builds every member
 * anew and compares the text, so that nothing unknown, doubled or out of place comes through.
 */
import { DECISION_CODES } from '../engine/input.ts';
import type { DecisionCode } from '../engine/input.ts';
import type {
  CompiledOutcome,
  CompiledPolicy,
  CompiledProgram,
  CompiledSlot,
  ModuleLayout,
  PlanBounds,
  ReportedPolicy,
  SlotSource,
} from '../plan/compiled.ts';
import type { SelectedJwtRule } from '../policy/authentication.ts';

/** All but what is bytes. */
export type PolicyFacts = Omit<CompiledPolicy, 'wasm' | 'model'>;

export function policyText(policy: PolicyFacts): string {
  return JSON.stringify(readFacts(JSON.parse(JSON.stringify(policy))));
}

/** Null for anything that `policyText` does not write. */
export function parsePolicyText(text: string): PolicyFacts | null {
  try {
    const facts = readFacts(JSON.parse(text));
    return JSON.stringify(facts) === text ? facts : null;
  } catch {
    return null;
  }
}

/** Thrown and caught here only. */
class Malformed extends Error {}

function readFacts(value: unknown): PolicyFacts {
  const of = objectOf(value);
  return {
    revision: text(of['revision']),
    layout: readLayout(of['layout']),
    outcomes: list(of['outcomes'], (each) => (each === null ? null : readOutcome(each))),
    reports: list(of['reports'], readReport),
    ruleCount: count(of['ruleCount']),
    headerNames: list(of['headerNames'], text),
    jwtRules: list(of['jwtRules'], readJwtRule),
    trustDomains: list(of['trustDomains'], text),
    spaceDelimitedClaims: list(of['spaceDelimitedClaims'], (each) => {
      const { claims, issuer } = objectOf(each);
      return { issuer: text(issuer), claims: list(claims, text) };
    }),
    isEmpty: flag(of['isEmpty']),
    documents: count(of['documents']),
    selected: count(of['selected']),
    bounds: readBounds(of['bounds']),
  };
}

function readLayout(value: unknown): ModuleLayout {
  const of = objectOf(value);
  return {
    slots: list(of['slots'], readSlot),
    http: readProgram(of['http']),
    tcp: readProgram(of['tcp']),
    reportStart: count(of['reportStart']),
    scratchStart: count(of['scratchStart']),
    scratchBytes: count(of['scratchBytes']),
  };
}

function readSlot(value: unknown): CompiledSlot {
  const { cellEnd, cellStart, descriptor, listCells, source } = objectOf(value);
  return {
    source: readSource(source),
    descriptor: count(descriptor),
    cellStart: count(cellStart),
    cellEnd: count(cellEnd),
    listCells: list(listCells, count),
  };
}

function readSource(value: unknown): SlotSource {
  const { kind, name, path } = objectOf(value);
  switch (kind) {
    case 'header':
    case 'tag':
    case 'provider':
      return { kind, name: text(name) };
    case 'claim':
      return { kind, path: list(path, text) };
    default:
      return { kind: word(kind, PLAIN_SOURCES) };
  }
}

function readProgram(value: unknown): CompiledProgram {
  const { reports, stages } = objectOf(value);
  return {
    stages: list(stages, (each) => {
      const { index, jump, otherwise } = objectOf(each);
      return { index: count(index), otherwise: count(otherwise), jump: count(jump) };
    }),
    reports: count(reports),
  };
}

function readOutcome(value: unknown): CompiledOutcome {
  const { code, effect, policy, rule } = objectOf(value);
  const known = text(code);
  if (!isOutcomeCode(known)) throw new Malformed();
  return { code: known, effect: word(effect, EFFECTS), policy: textOrNull(policy), rule: textOrNull(rule) };
}

function readReport(value: unknown): ReportedPolicy {
  const { action, mode, policy, provider, rules } = objectOf(value);
  return {
    policy: text(policy),
    mode: word(mode, MODES),
    action: word(action, ACTIONS),
    provider: textOrNull(provider),
    rules: list(rules, text),
  };
}

function readJwtRule(value: unknown): SelectedJwtRule {
  const of = objectOf(value);
  return {
    policy: text(of['policy']),
    issuer: text(of['issuer']),
    audiences: list(of['audiences'], text),
    jwksUri: textOrNull(of['jwksUri']),
    jwks: textOrNull(of['jwks']),
    fromHeaders: list(of['fromHeaders'], (each) => {
      const { name, prefix } = objectOf(each);
      return { name: text(name), prefix: text(prefix) };
    }),
    fromParams: list(of['fromParams'], text),
    fromCookies: list(of['fromCookies'], text),
    outputPayloadToHeader: textOrNull(of['outputPayloadToHeader']),
    outputClaimToHeaders: list(of['outputClaimToHeaders'], (each) => {
      const { claim, header } = objectOf(each);
      return { header: text(header), claim: text(claim) };
    }),
    forwardOriginalToken: flag(of['forwardOriginalToken']),
    timeoutMs: count(of['timeoutMs']),
    spaceDelimitedClaims: list(of['spaceDelimitedClaims'], text),
    isRequired: flag(of['isRequired']),
  };
}

function readBounds(value: unknown): PlanBounds {
  const { automata, longestScan, steps, strategy } = objectOf(value);
  return {
    strategy: word(strategy, STRATEGIES),
    longestScan: count(longestScan),
    steps: count(steps),
    automata: count(automata),
  };
}

function objectOf(value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Malformed();
  return { ...value };
}

function list<T>(value: unknown, read: (each: unknown) => T): readonly T[] {
  if (!Array.isArray(value)) throw new Malformed();
  return value.map((each: unknown) => read(each));
}

function text(value: unknown): string {
  if (typeof value !== 'string') throw new Malformed();
  return value;
}

function textOrNull(value: unknown): string | null {
  return value === null ? null : text(value);
}

function flag(value: unknown): boolean {
  if (typeof value !== 'boolean') throw new Malformed();
  return value;
}

/** Addresses and counts: WebAssembly's memory has 32 bits. */
function count(value: unknown): number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value > 0xffff_ffff) throw new Malformed();
  return value;
}

function word<T extends string>(value: unknown, words: readonly T[]): T {
  const found = words.find((each) => each === value);
  if (found === undefined) throw new Malformed();
  return found;
}

function isOutcomeCode(code: string): code is DecisionCode | 'none_selected' {
  return code === 'none_selected' || Object.hasOwn(DECISION_CODES, code);
}

const EFFECTS = ['allow', 'deny'] as const;
const MODES = ['enforce', 'audit', 'learn'] as const;
const ACTIONS = ['ALLOW', 'DENY', 'AUDIT', 'CUSTOM'] as const;
const STRATEGIES = ['index', 'forest'] as const;
const PLAIN_SOURCES = [
  'principal',
  'trustDomain',
  'namespace',
  'account',
  'anyNamespace',
  'anyAccount',
  'sourceIp',
  'remoteIp',
  'destinationIp',
  'destinationPort',
  'sni',
  'tls',
  'protocol',
  'method',
  'authority',
  'path',
  'query',
  'requestPrincipal',
  'issuer',
  'subject',
  'audiences',
  'presenter',
] as const;
