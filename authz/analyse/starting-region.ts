/** What holds of every request: the protocols of a program, and that plaintext proves no identity and has no tags. */
import type { Group, Program } from '../plan/clauses.ts';
import type { SlotSource } from '../plan/compiled.ts';
import type { Predicates } from './predicates.ts';
import type { Region, Regions } from './region.ts';
import { variableOf } from './variables.ts';

export function startingRegion(program: Program, predicates: Predicates, regions: Regions): Region {
  const literal = predicates.literal(program === 'tcp' ? IS_TCP : IS_NO_TCP, 0);
  return regions.narrowed(new Map(), [literal]) ?? new Map();
}

/** Null when an identity and its absence are both asked for. */
export function withDependents(region: Region | null, predicates: Predicates, regions: Regions): Region | null {
  if (region === null) return null;
  const needsTls = [...region].some(
    ([variable, literals]) =>
      (variable === PRINCIPAL || variable.key.startsWith('tag ')) && literals.some((literal) => (literal & 1) === 0),
  );
  if (!needsTls) return region;
  return regions.narrowed(region, [predicates.literal(IS_TLS, 0)]);
}

function group(kind: 'protocol' | 'tls', text: string, isNegated: boolean): Group {
  const slot: SlotSource = { kind };
  return { slot, patterns: [{ form: 'exact', text }], isNegated, isExhaustive: false };
}

const PRINCIPAL = variableOf({ kind: 'principal' }, 0);
const IS_TCP = group('protocol', 'tcp', false);
const IS_NO_TCP = group('protocol', 'tcp', true);
const IS_TLS = group('tls', 'true', false);
