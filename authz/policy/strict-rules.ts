/**
 * Reads the rules of AccessPolicy and ClusterAccessPolicy: `from`, `to` and `when` as expressions. Within one source or operation
 * all fields must hold, of one field any value (of `tags` every one); `when` joins attributes by `all`, `any` and `not`.
 */
import { readKey } from './attribute-keys.ts';
import type { Attribute, Comparison, Expression } from './expression.ts';
import type { FaultList, FieldReader } from './fields.ts';
import type { Position, Rule } from './model.ts';
import { isFault, readAccount, readComparison, refuse } from './strict-values.ts';
import type { ReadValue } from './strict-values.ts';
import type { ValueFault } from './values.ts';

export interface StrictContext {
  /** Of service accounts that are written without one; null where there is none. */
  readonly namespace: string | null;
  /** `namespace/name` of the API that `operations` are of, or null. */
  readonly api: string | null;
}

export function readStrictRules(spec: FieldReader, context: StrictContext, faults: FaultList): readonly Rule[] {
  const readers = spec.maps('rules');
  if (readers.length > MAX_RULES) {
    faults.add('PN0209', spec.where('rules'), spec.at('rules'), `Cannot read the policy: found more than ${MAX_RULES} rules`);
    return [];
  }
  const names = new Set<string>();
  return readers.map((reader, index) => {
    const rule = new RuleReader(context, faults).read(reader, String(index));
    if (names.has(rule.name)) {
      faults.add('PN0309', reader.where('name'), reader.at('name'), `Cannot read the rule "${rule.name}": another has that name`);
    }
    names.add(rule.name);
    return rule;
  });
}

class RuleReader {
  readonly #context: StrictContext;
  readonly #faults: FaultList;

  constructor(context: StrictContext, faults: FaultList) {
    this.#context = context;
    this.#faults = faults;
  }

  read(rule: FieldReader, otherwise: string): Rule {
    const name = rule.hasValue('name') ? (rule.text('name') ?? otherwise) : otherwise;
    if (!/^[a-z0-9][-a-z0-9]{0,62}$/.test(name)) {
      const fix = 'Write lower-case letters, digits and "-"';
      this.#faults.add('PN0309', rule.where('name'), rule.at('name'), `Cannot read the name "${name}" of a rule`, fix);
    }
    const from = this.#alternatives(rule, 'from', (source) => this.#source(source));
    const to = this.#alternatives(rule, 'to', (operation) => this.#operation(operation));
    const when = rule.maps('when').map((condition) => this.#condition(condition));
    rule.finish();
    return { name, from: [], to: [], when: [], strict: { from, to, when }, position: rule.position };
  }

  #alternatives(rule: FieldReader, field: 'from' | 'to', read: (reader: FieldReader) => Expression): readonly Expression[] {
    const readers = rule.maps(field);
    if (rule.hasValue(field) && readers.length === 0) {
      this.#faults.add('PN0203', rule.where(field), rule.at(field), `Cannot read ${field}: an empty list would match everything`);
    }
    if (readers.length > MAX_ALTERNATIVES) {
      this.#faults.add('PN0209', rule.where(field), rule.at(field), `Cannot read ${field}: found more than ${MAX_ALTERNATIVES}`);
    }
    return readers.map((reader) => {
      const expression = read(reader);
      const isWhole = reader.finish();
      if (isWhole && expression.kind === 'all' && expression.of.length === 0) {
        this.#faults.add('PN0203', reader.position, reader.path, `Cannot read ${reader.path}: it names no field`);
      }
      return expression;
    });
  }

  #source(reader: FieldReader): Expression {
    const parts = [
      ...this.#field(reader, 'principals', { kind: 'principal' }),
      ...this.#field(reader, 'namespaces', { kind: 'namespace' }),
      ...this.#field(reader, 'serviceAccounts', { kind: 'serviceAccount' }),
      ...this.#field(reader, 'trustDomains', { kind: 'trustDomain' }),
      ...this.#field(reader, 'ipBlocks', { kind: 'sourceIp' }),
      ...this.#field(reader, 'remoteIpBlocks', { kind: 'remoteIp' }),
      ...this.#pairs(reader, 'requestPrincipals', 'notRequestPrincipals', (text) => this.#requestPrincipal(text)),
    ];
    for (const text of reader.texts('tags', nothing)) parts.push(this.#told(reader, 'tags', tagExpression(text)));
    for (const text of reader.texts('notTags', nothing)) {
      parts.push({ kind: 'not', of: this.#told(reader, 'notTags', tagExpression(text)) });
    }
    return { kind: 'all', of: parts };
  }

  #operation(reader: FieldReader): Expression {
    const parts = [
      ...this.#field(reader, 'methods', { kind: 'method' }),
      ...this.#field(reader, 'paths', { kind: 'path' }),
      ...this.#field(reader, 'hosts', { kind: 'host' }),
      ...this.#field(reader, 'ports', { kind: 'destinationPort' }),
    ];
    for (const [field, isNegated] of [
      ['operations', false],
      ['notOperations', true],
    ] as const) {
      const operations = this.#operations(reader, field);
      if (operations !== null) parts.push(isNegated ? { kind: 'not', of: operations } : operations);
    }
    return { kind: 'all', of: parts };
  }

  /** Ids, or `tag:NAME` for all operations that bear a tag. */
  #operations(reader: FieldReader, field: string): Expression | null {
    const ids = reader.texts(field, nothing);
    if (ids.length === 0) return null;
    const { api } = this.#context;
    if (api !== null) return { kind: 'operations', api, ids };
    const fix = 'Write spec.apiRef: { name: ... }';
    this.#faults.add('PN0204', reader.where(field), reader.at(field), `Cannot read ${field}: the policy names no API`, fix);
    return null;
  }

  /** A field of texts and its `not`. */
  #field(reader: FieldReader, field: string, attribute: Attribute): readonly Expression[] {
    const not = `not${field.charAt(0).toUpperCase()}${field.slice(1)}`;
    const parts: Expression[] = [];
    for (const name of [field, not]) {
      const comparisons = this.#comparisons(reader, name, attribute);
      if (comparisons.length === 0) continue;
      const match: Expression = { kind: 'match', attribute, values: 'any', comparisons };
      parts.push(name === not ? { kind: 'not', of: match } : match);
    }
    return parts;
  }

  #comparisons(reader: FieldReader, name: string, attribute: Attribute): readonly Comparison[] {
    const read: Comparison[] = [];
    const take = (text: string, at: Position, path: string): void => {
      const value: ReadValue =
        attribute.kind === 'serviceAccount' ? readAccount(text, this.#context.namespace) : readComparison(attribute, text);
      if (isFault(value)) this.#faults.add(value.code, at, path, value.message, value.fix);
      else read.push(value);
    };
    reader.texts(name, take, { takesNumbers: attribute.kind === 'destinationPort' });
    return read;
  }

  #pairs(
    reader: FieldReader,
    field: string,
    not: string,
    read: (text: string) => Expression | ValueFault,
  ): readonly Expression[] {
    const parts: Expression[] = [];
    for (const name of [field, not]) {
      const found: Expression[] = [];
      reader.texts(name, (text, at, path) => {
        const expression = read(text);
        if ('code' in expression) this.#faults.add(expression.code, at, path, expression.message, expression.fix);
        else found.push(expression);
      });
      if (found.length === 0) continue;
      parts.push(name === not ? { kind: 'not', of: { kind: 'any', of: found } } : { kind: 'any', of: found });
    }
    return parts;
  }

  /** `ISSUER/SUBJECT`, either of them `*`, told apart at the last slash; `*` is any token that names both. */
  #requestPrincipal(text: string): Expression | ValueFault {
    const slash = text.lastIndexOf('/');
    const issuer = slash < 0 ? text : text.slice(0, slash);
    const subject = slash < 0 ? text : text.slice(slash + 1);
    const hasStar = [issuer, subject].some((part) => part !== '*' && (part === '' || part.includes('*')));
    if (hasStar || (slash < 0 && text !== '*')) {
      return refuse('PN0317', `Cannot read "${text}": found no issuer and subject`, 'Write ISSUER/SUBJECT, either of them "*"');
    }
    const part = (kind: 'issuer' | 'subject', wanted: string): Expression =>
      wanted === '*'
        ? { kind: 'present', attribute: { kind } }
        : { kind: 'match', attribute: { kind }, values: 'any', comparisons: [{ form: 'exact', text: wanted }] };
    return { kind: 'all', of: [part('issuer', issuer), part('subject', subject)] };
  }

  #condition(reader: FieldReader): Expression {
    const kinds = ['key', 'all', 'any', 'not'].filter((name) => reader.hasValue(name));
    if (kinds.length !== 1) {
      const fix = 'Write one of key, all, any and not';
      this.#faults.add(
        'PN0319',
        reader.position,
        reader.path,
        'Cannot read the condition: it says nothing, or several things',
        fix,
      );
    }
    const expression = kinds[0] === 'key' ? this.#comparison(reader) : this.#joined(reader, kinds[0] ?? 'all');
    reader.finish();
    return expression;
  }

  #joined(reader: FieldReader, kind: string): Expression {
    if (kind === 'not') {
      const inner = reader.map('not');
      return inner === null ? { kind: 'any', of: [] } : { kind: 'not', of: this.#condition(inner) };
    }
    const readers = reader.maps(kind);
    if (reader.hasValue(kind) && readers.length === 0) {
      this.#faults.add('PN0203', reader.where(kind), reader.at(kind), `Cannot read ${kind}: it is empty`);
    }
    return { kind: kind === 'any' ? 'any' : 'all', of: readers.map((inner) => this.#condition(inner)) };
  }

  #comparison(reader: FieldReader): Expression {
    const key = reader.text('key') ?? '';
    const attribute = readKey(key);
    if ('code' in attribute) {
      this.#faults.add(attribute.code, reader.where('key'), reader.at('key'), attribute.message, attribute.fix);
      reader.pass('values', 'notValues', 'allValues', 'present');
      return { kind: 'any', of: [] };
    }
    const parts: Expression[] = [];
    const told = (name: string, values: 'any' | 'all', isNegated: boolean): void => {
      const comparisons = this.#comparisons(reader, name, attribute);
      if (comparisons.length === 0) return;
      const match: Expression = { kind: 'match', attribute, values, comparisons };
      parts.push(isNegated ? { kind: 'not', of: match } : match);
    };
    told('values', 'any', false);
    told('notValues', 'any', true);
    told('allValues', 'all', false);
    const present = reader.flag('present');
    const presence: Expression = { kind: 'present', attribute };
    if (present !== null) parts.push(present ? presence : { kind: 'not', of: presence });
    if (parts.length === 0 && !['values', 'notValues', 'allValues', 'present'].some((name) => reader.hasValue(name))) {
      const message = 'Cannot read the condition: it has none of values, notValues, allValues and present';
      this.#faults.add('PN0204', reader.position, reader.path, message);
    }
    return { kind: 'all', of: parts };
  }

  #told(reader: FieldReader, field: string, read: Expression | ValueFault): Expression {
    if (!('code' in read)) return read;
    this.#faults.add(read.code, reader.where(field), reader.at(field), read.message, read.fix);
    return { kind: 'any', of: [] };
  }
}

/** `name=value`, or `name` for its presence. */
function tagExpression(text: string): Expression | ValueFault {
  const equals = text.indexOf('=');
  const name = equals < 0 ? text : text.slice(0, equals);
  if (!/^[A-Za-z0-9][-A-Za-z0-9_./]{0,252}$/.test(name)) {
    return refuse('PN0316', `Cannot read the tag "${text}": found no name`, 'Write NAME=VALUE');
  }
  const attribute: Attribute = { kind: 'tag', name };
  if (equals < 0) return { kind: 'present', attribute };
  const comparison = readComparison(attribute, text.slice(equals + 1));
  if (isFault(comparison)) return comparison;
  return { kind: 'match', attribute, values: 'any', comparisons: [comparison] };
}

function nothing(): void {}

const MAX_ALTERNATIVES = 512;
const MAX_RULES = 10_000;
