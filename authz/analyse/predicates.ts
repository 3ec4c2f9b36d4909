/**
 * Groups of clauses as predicates on variables: "a value fits one of these patterns", perhaps "fits none of them". Equal predicates
 * have one number, so that a condition is a literal: twice the number, and one more where it is negated.
 */
import type { Group } from '../plan/clauses.ts';
import type { SlotSource } from '../plan/compiled.ts';
import type { Pattern } from '../plan/patterns.ts';
import { isOfToken, variableOf } from './variables.ts';
import type { Variable } from './variables.ts';
import { onIdentity } from './identity-patterns.ts';
import { readableText, textOf } from './pattern-text.ts';
import { onUser } from './user-patterns.ts';

export interface Predicate {
  /** For people: `path /a or /b*`. */
  readonly text: string;
  readonly variable: Variable;
  readonly patterns: readonly Pattern[];
  /** It holds for a value that fits none of the patterns. */
  readonly isComplement: boolean;
  /** The values that fit, where these are nothing but single ones; else null. */
  readonly values: ReadonlySet<string> | null;
  /** Two predicates of one kind whose texts differ never hold for one value; null where nothing is known. */
  readonly kind: string | null;
  readonly texts: ReadonlySet<string>;
}

export class Predicates {
  /** Whether every pattern could be said exactly; a proof that rests on others is none. */
  isExact = true;
  readonly list: Predicate[] = [];
  readonly #numbers = new Map<string, number>();
  readonly #ofGroups = new Map<Group, readonly number[]>();
  readonly #trustDomains: readonly string[];

  constructor(trustDomains: readonly string[]) {
    this.#trustDomains = trustDomains;
  }

  /** The literal of a group. @param copy  number of the token that it is asked of */
  literal(group: Group, copy: number): number {
    const known = this.#ofGroups.get(group)?.[copy];
    if (known !== undefined) return known;
    const { isExhaustive, isNegated, patterns, slot } = group;
    const token = isOfToken(slot) ? copy : 0;
    const variable = variableOf(slot, token);
    const key = `${variable.key} ${slot.kind} ${isExhaustive} ${textOfAll(patterns)}`;
    let number = this.#numbers.get(key);
    if (number === undefined) {
      number = this.list.push(this.#predicate(slot, variable, patterns, isExhaustive)) - 1;
      this.#numbers.set(key, number);
    }
    const literal = number * 2 + (isNegated ? 1 : 0);
    const ofCopies = [...(this.#ofGroups.get(group) ?? [])];
    ofCopies[copy] = literal;
    this.#ofGroups.set(group, ofCopies);
    return literal;
  }

  variableOf(literal: number): Variable {
    const predicate = this.list[literal >> 1];
    if (predicate === undefined) throw new Error('a literal of other predicates');
    return predicate.variable;
  }

  #predicate(slot: SlotSource, variable: Variable, given: readonly Pattern[], isComplement: boolean): Predicate {
    const read = this.#read(slot, given);
    const isSingle = !isComplement && read.every(({ form }) => form === 'exact');
    const isTold = !isComplement && SINGLE_KINDS.has(slot.kind) && given.every(({ form }) => form === 'exact');
    const exact = (patterns: readonly Pattern[]): ReadonlySet<string> =>
      new Set(patterns.flatMap((pattern) => (pattern.form === 'exact' ? [pattern.text] : [])));
    const name =
      slot.kind === 'header' || slot.kind === 'tag' || slot.kind === 'provider' ? `${slot.kind} ${slot.name}` : slot.kind;
    const told = slot.kind === 'claim' ? `claim ${slot.path.join('.')}` : name;
    return {
      text: `${told} ${isComplement ? 'other than ' : ''}${readableText(slot, given)}`,
      variable,
      patterns: read,
      isComplement,
      values: isSingle ? exact(read) : null,
      kind: isTold ? slot.kind : null,
      texts: isTold ? exact(given) : NONE,
    };
  }

  #read(slot: SlotSource, given: readonly Pattern[]): readonly Pattern[] {
    const inexact = (): void => {
      this.isExact = false;
    };
    switch (slot.kind) {
      case 'trustDomain':
      case 'namespace':
      case 'account':
      case 'anyNamespace':
      case 'anyAccount':
        return onIdentity(slot.kind, given, this.#trustDomains, inexact);
      case 'issuer':
      case 'subject':
        return onUser(slot.kind, given, inexact);
      case 'claim': {
        const [first] = slot.path;
        if (slot.path.length !== 1 || (first !== 'iss' && first !== 'sub')) return given;
        return onUser(first === 'iss' ? 'issuer' : 'subject', given, inexact);
      }
      default:
        return given;
    }
  }
}

function textOfAll(patterns: readonly Pattern[]): string {
  const [first] = patterns;
  if (first !== undefined && patterns.length === 1) return textOf(first);
  return patterns.map(textOf).toSorted().join('\n');
}

const SINGLE_KINDS: ReadonlySet<SlotSource['kind']> = new Set(['trustDomain', 'namespace', 'account', 'issuer', 'subject']);
const NONE: ReadonlySet<string> = new Set();
