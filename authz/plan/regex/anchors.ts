/**
 * An expression that is to be found somewhere in a value, as one over the whole value. `^` at the very beginning and `$` at the very end
 * of an alternative are read; assertions elsewhere ask for what stands beside the value once it is a part of something longer, and
 * are refused.
 */
import { PosternError } from '#base/error.ts';

import type { BytePattern } from './byte-pattern.ts';
import { parseRegex } from './parse.ts';

/** @throws {PosternError} `policy_regex` for what is no RE2 syntax, or has an assertion within */
export function parseFoundRegex(text: string): BytePattern {
  const pattern = parseRegex(text);
  const alternatives = pattern.kind === 'choice' ? pattern.of : [pattern];
  return { kind: 'choice', of: alternatives.map((alternative) => whole(alternative, text)) };
}

/** Whether the empty text matches. The pattern has no assertion. */
export function matchesNothing(pattern: BytePattern): boolean {
  switch (pattern.kind) {
    case 'bytes':
    case 'assertion':
      return false;
    case 'sequence':
      return pattern.of.every(matchesNothing);
    case 'choice':
      return pattern.of.some(matchesNothing);
    case 'repeat':
      return pattern.least === 0 || matchesNothing(pattern.of);
  }
}

function whole(alternative: BytePattern, text: string): BytePattern {
  const parts = flattened(alternative);
  const isAtStart = isAssertion(parts[0], 'textStart');
  const isAtEnd = parts.length > (isAtStart ? 1 : 0) && isAssertion(parts.at(-1), 'textEnd');
  const inner = parts.slice(isAtStart ? 1 : 0, isAtEnd ? -1 : undefined);
  if (inner.some(hasAssertion)) {
    throw new PosternError(
      'policy_regex',
      `Cannot read the pattern "${text}": found an assertion within`,
      'Write ^ and $ only at the ends of the pattern or of its alternatives, and no \\b',
    );
  }
  return { kind: 'sequence', of: [...(isAtStart ? [] : [ANY_TEXT]), ...inner, ...(isAtEnd ? [] : [ANY_TEXT])] };
}

function flattened(pattern: BytePattern): readonly BytePattern[] {
  return pattern.kind === 'sequence' ? pattern.of.flatMap(flattened) : [pattern];
}

function isAssertion(pattern: BytePattern | undefined, assertion: 'textStart' | 'textEnd'): boolean {
  return pattern?.kind === 'assertion' && pattern.assertion === assertion;
}

function hasAssertion(pattern: BytePattern): boolean {
  switch (pattern.kind) {
    case 'bytes':
      return false;
    case 'assertion':
      return true;
    case 'sequence':
    case 'choice':
      return pattern.of.some(hasAssertion);
    case 'repeat':
      return hasAssertion(pattern.of);
  }
}

const ANY_TEXT = parseRegex('(?s:.*)');
