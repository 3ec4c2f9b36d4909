/**
 * `regex.*` and `glob.match`. Patterns are RE2's and run in linear time (re2js); never a RegExp of JavaScript's, whose time a
 * policy, or a pattern that came with the input, could make exponential.
 */
import { RE2JS } from 're2js';

import { isArray } from '../value.ts';
import type { RegoValue } from '../value.ts';
import { ofText, ofTexts, ofTwoTexts, smallInteger } from './builtin.ts';
import type { BuiltinContext, BuiltinTable } from './builtin.ts';

export const PATTERN_BUILTINS: BuiltinTable = {
  'regex.match': ofTwoTexts((pattern, text, context) => compiled(pattern, text, context)?.matcher(text).find()),
  re_match: ofTwoTexts((pattern, text, context) => compiled(pattern, text, context)?.matcher(text).find()),
  'regex.is_valid': ([pattern], context) => typeof pattern === 'string' && compiled(pattern, '', context) !== undefined,
  'regex.split': ofTwoTexts((pattern, text, context) => split(pattern, text, context)),
  'regex.find_n': ([pattern, text, count], context) => found(pattern, text, count, context)?.map((match) => match[0] ?? ''),
  'regex.find_all_string_submatch_n': ([pattern, text, count], context) => found(pattern, text, count, context),
  'regex.replace': ofTexts(([text = '', pattern = '', next = ''], context) => replace(text, pattern, next, context)),
  'regex.template_match': ofTexts(([template = '', text = '', start = '', end = ''], context) =>
    templateMatch(template, text, start, end, context),
  ),
  'glob.match': ([pattern, delimiters, text], context) => globMatch(pattern, delimiters, text, context),
  'glob.quote_meta': ofText((text) => text.replace(/[*?\\[\]{}]/gu, '\\$&')),
};

type Matcher = ReturnType<RE2JS['matcher']>;

/** Undefined when the pattern is none, or is larger than may be. Pays for a pass over the text. */
function compiled(pattern: string, text: string, { meter }: BuiltinContext): RE2JS | undefined {
  let known = cache.get(pattern);
  if (known === undefined) {
    if (pattern.length > MAX_PATTERN) return undefined;
    meter.spend(COMPILE_COST + pattern.length * 64);
    try {
      known = RE2JS.compile(pattern);
    } catch {
      return undefined;
    }
    // The oldest goes: a cache that patterns from the input can fill must not keep the policy's out for ever.
    const oldest = cache.size >= MAX_CACHED ? cache.keys().next().value : undefined;
    if (oldest !== undefined) cache.delete(oldest);
    cache.set(pattern, known);
  }
  const size = known.programSize();
  if (size > MAX_PROGRAM) return undefined;
  meter.spend(text.length * (1 + (size >> 2)));
  return known;
}

/** Finds the next match; one of nothing right behind another match is none to Go. */
function findNext(matcher: Matcher, { meter }: BuiltinContext): boolean {
  meter.spend(MATCH_COST);
  const before = lastEnds.get(matcher) ?? -1;
  while (matcher.find()) {
    if (matcher.start() === matcher.end() && matcher.start() === before) continue;
    lastEnds.set(matcher, matcher.end());
    return true;
  }
  return false;
}

/** Go's Split: parts between matches that are not empty at the start. */
function split(pattern: string, text: string, context: BuiltinContext): RegoValue | undefined {
  const expression = compiled(pattern, text, context);
  if (expression === undefined) return undefined;
  if (pattern !== '' && text === '') return [''];
  const parts: string[] = [];
  const matcher = expression.matcher(text);
  let from = 0;
  let end = 0;
  while (findNext(matcher, context)) {
    if (matcher.end() === 0) continue;
    end = matcher.start();
    parts.push(text.slice(from, end));
    from = matcher.end();
  }
  if (end !== text.length) parts.push(text.slice(from));
  return parts;
}

function found(
  pattern: RegoValue | undefined,
  text: RegoValue | undefined,
  count: RegoValue | undefined,
  context: BuiltinContext,
): string[][] | undefined {
  const limit = smallInteger(count);
  if (typeof pattern !== 'string' || typeof text !== 'string' || limit === null) return undefined;
  const expression = compiled(pattern, text, context);
  if (expression === undefined) return undefined;
  const matches: string[][] = [];
  const matcher = expression.matcher(text);
  while ((limit < 0 || matches.length < limit) && findNext(matcher, context)) {
    const groups: string[] = [];
    for (let group = 0; group <= matcher.groupCount(); group++) groups.push(String(matcher.group(group) ?? ''));
    context.meter.hold(64 + 2 * groups.reduce((sum, part) => sum + part.length, 0));
    matches.push(groups);
  }
  return matches;
}

/** Go's ReplaceAllString: `$1`, `${1}`, `$name`, `$$` in the replacement. */
function replace(text: string, pattern: string, next: string, context: BuiltinContext): string | undefined {
  const expression = compiled(pattern, text, context);
  if (expression === undefined) return undefined;
  const names: Readonly<Record<string, number>> = expression.namedGroups();
  const parts: string[] = [];
  const matcher = expression.matcher(text);
  let from = 0;
  while (findNext(matcher, context)) {
    const filled = next.replace(/\$(?:\$|\{(\w+)\}|(\w+))/gu, (whole, braced?: string, bare?: string) => {
      if (whole === '$$') return '$';
      const name = braced ?? bare ?? '';
      const group = /^[0-9]+$/u.test(name) ? Number(name) : Object.hasOwn(names, name) ? names[name] : undefined;
      if (group === undefined || group > matcher.groupCount()) return '';
      return String(matcher.group(group) ?? '');
    });
    context.meter.hold(2 * filled.length + 32);
    parts.push(text.slice(from, matcher.start()), filled);
    from = matcher.end();
  }
  parts.push(text.slice(from));
  return parts.join('');
}

/** A text in which what stands between the delimiters is a pattern and the rest itself. */
function templateMatch(template: string, text: string, start: string, end: string, context: BuiltinContext): boolean | undefined {
  if ([...start].length !== 1 || [...end].length !== 1) return undefined;
  let pattern = '^';
  let from = 0;
  while (from < template.length) {
    const open = template.indexOf(start, from);
    if (open < 0) break;
    const close = closing(template, open, start, end);
    if (close < 0) return undefined;
    pattern += `${RE2JS.quote(template.slice(from, open))}(${template.slice(open + start.length, close)})`;
    from = close + end.length;
  }
  pattern += `${RE2JS.quote(template.slice(from))}$`;
  return compiled(pattern, text, context)?.matcher(text).find();
}

function closing(template: string, open: number, start: string, end: string): number {
  let depth = 0;
  for (let at = open; at < template.length; at++) {
    if (template.startsWith(start, at)) depth++;
    else if (template.startsWith(end, at) && --depth === 0) return at;
  }
  return -1;
}

function globMatch(
  pattern: RegoValue | undefined,
  delimiters: RegoValue | undefined,
  text: RegoValue | undefined,
  context: BuiltinContext,
): boolean | undefined {
  if (typeof pattern !== 'string' || typeof text !== 'string' || pattern.length > MAX_PATTERN) return undefined;
  let separators: readonly RegoValue[] = [];
  if (isArray(delimiters)) separators = delimiters.length === 0 ? ['.'] : delimiters;
  else if (delimiters !== null) return undefined;
  const signs: string[] = [];
  for (const sign of separators) {
    if (typeof sign !== 'string' || [...sign].length !== 1) return undefined;
    signs.push(sign);
  }
  const expression = globExpression(pattern, signs);
  return expression === null ? undefined : compiled(expression, text, context)?.matcher(text).find();
}

/** The pattern of a glob: `*` and `?` stop at separators, `**` does not; `[a-z]`, `[!abc]`, `{a,b}` and `\` as usual. */
function globExpression(pattern: string, separators: readonly string[]): string | null {
  const one = separators.length === 0 ? '(?s:.)' : `[^${separators.map(inClass).join('')}]`;
  const points = [...pattern];
  let out = '';
  let depth = 0;
  for (let at = 0; at < points.length; at++) {
    const sign = points[at] ?? '';
    if (sign === '*') {
      const isDouble = points[at + 1] === '*';
      if (isDouble) at++;
      out += isDouble ? '(?s:.*)' : `${one}*`;
    } else if (sign === '?') out += one;
    else if (sign === '\\') {
      at++;
      if (at === points.length) return null;
      out += RE2JS.quote(points[at] ?? '');
    } else if (sign === '{') {
      depth++;
      out += '(?:';
    } else if (sign === '}' && depth > 0) {
      depth--;
      out += ')';
    } else if (sign === ',' && depth > 0) out += '|';
    else if (sign === '[') {
      const close = points.indexOf(']', at + 2);
      if (close < 0) return null;
      out += globClass(points.slice(at + 1, close));
      at = close;
    } else out += RE2JS.quote(sign);
  }
  return depth === 0 ? `^(?:${out})$` : null;
}

function globClass(points: readonly string[]): string {
  const isNegated = points[0] === '!';
  const members = isNegated ? points.slice(1) : points;
  const isRange = members.length === 3 && members[1] === '-';
  const body = isRange ? `${inClass(members[0] ?? '')}-${inClass(members[2] ?? '')}` : members.map(inClass).join('');
  return `[${isNegated ? '^' : ''}${body}]`;
}

function inClass(sign: string): string {
  return /[\w\s]/u.test(sign) || (sign.codePointAt(0) ?? 0) > 0x7f ? sign : `\\${sign}`;
}

const lastEnds = new WeakMap<Matcher, number>();
const cache = new Map<string, RE2JS>();
const MAX_CACHED = 256;
const MAX_PATTERN = 4_096;
const MAX_PROGRAM = 20_000;
const COMPILE_COST = 10_000;
/** What a match takes however short it is. */
const MATCH_COST = 256;
