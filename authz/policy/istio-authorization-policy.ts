/**
 * Reads an AuthorizationPolicy of `security.istio.io` (v1, v1beta1) into the model. Dry run is the
 * mode `audit`.
 */
import type { Action, Condition, Mode, Operation, OperationField, Policy, Position, Rule, Source, SourceField } from './model.ts';
import { OPERATION_FIELDS, SOURCE_FIELDS } from './model.ts';
import type { FaultList, FieldReader } from './fields.ts';
import { readAttachment, readMetadata } from './metadata.ts';
import {
  checkIp,
  checkNamespace,
  checkNothing,
  checkOfKey,
  checkPath,
  checkPort,
  checkPrincipal,
  checkServiceAccount,
  checkTrustDomain,
} from './values.ts';
import type { ValueCheck } from './values.ts';
import type { YamlNode } from './yaml-node.ts';

/** The policy, or null when `faults` says why not. `document` is positioned at the top of the mapping. */
export function readAuthorizationPolicy(document: FieldReader, faults: FaultList): Policy | null {
  const before = faults.faults.length;
  const { name, namespace, annotations, annotationsAt } = readMetadata(document, faults);
  const spec = document.map('spec');
  document.finish();
  const policy = new SpecReader(faults, annotations, annotationsAt).read(spec, document.position);
  if (faults.faults.length > before || name === null) return null;
  return { namespace, name, ...policy };
}

class SpecReader {
  readonly #faults: FaultList;
  readonly #annotations: Readonly<Record<string, string>>;
  readonly #annotationsAt: Position;

  constructor(faults: FaultList, annotations: Readonly<Record<string, string>>, annotationsAt: Position) {
    this.#faults = faults;
    this.#annotations = annotations;
    this.#annotationsAt = annotationsAt;
  }

  read(spec: FieldReader | null, position: Position): Omit<Policy, 'name' | 'namespace'> {
    const trial = this.#mode();
    const always = { scope: null, validity: null, position };
    // An absent spec is `spec: {}`: ALLOW without a rule.
    if (spec === null)
      return { ...always, mode: trial, action: 'ALLOW', provider: null, selector: {}, isForGateways: false, rules: [] };
    const action = spec.word('action', ACTIONS, 'PN0207') ?? 'ALLOW';
    // Istio tries out no CUSTOM policy: in force it is on the safe side.
    const mode = action === 'CUSTOM' ? 'enforce' : trial;
    const attachment = readAttachment(spec, this.#faults);
    const rules = this.#rules(spec);
    if ((action === 'DENY' || action === 'CUSTOM') && rules.length === 0) {
      const message = `Cannot read the policy: a ${action} policy without rules never applies`;
      this.#faults.add('PN0210', spec.position, spec.at('rules'), message, 'To match everything write rules: [{}]');
    }
    const provider = this.#provider(spec, action);
    spec.finish();
    return { ...always, mode, action, provider, ...attachment, rules };
  }

  #mode(): Mode {
    const dryRun = this.#annotations[DRY_RUN];
    if (dryRun === undefined || /^(?:0|f|F|false|FALSE|False)$/.test(dryRun)) return 'enforce';
    if (/^(?:1|t|T|true|TRUE|True)$/.test(dryRun)) return 'audit';
    const message = `Cannot read ${DRY_RUN}: found "${dryRun}"`;
    this.#faults.add('PN0208', this.#annotationsAt, 'metadata.annotations', message, 'Write "true" or "false"');
    return 'enforce';
  }

  #provider(spec: FieldReader, action: Action): string | null {
    const reader = spec.map('provider');
    const name = reader?.text('name') ?? null;
    reader?.finish();
    if (action === 'CUSTOM' && (name === null || name === '')) {
      const message = 'Cannot read the policy: a CUSTOM policy names the provider that it asks';
      this.#faults.add('PN0204', spec.position, spec.at('provider.name'), message);
    }
    if (action !== 'CUSTOM' && reader !== null) {
      const message = 'Cannot read provider: only CUSTOM policies have one';
      this.#faults.add('PN0205', spec.where('provider'), spec.at('provider'), message);
    }
    return action === 'CUSTOM' ? name : null;
  }

  #rules(spec: FieldReader): readonly Rule[] {
    const list = spec.list('rules');
    if (list === null) {
      this.#ruleNames(0);
      return [];
    }
    if (list.items.length > MAX_RULES) {
      this.#faults.add('PN0209', list.position, spec.at('rules'), `Cannot read the policy: found more than ${MAX_RULES} rules`);
      return [];
    }
    const names = this.#ruleNames(list.items.length);
    const rules: Rule[] = [];
    for (const [index, item] of list.items.entries()) {
      const path = `${spec.at('rules')}[${index}]`;
      const reader = spec.asMap(item, path);
      if (reader !== null) rules.push(this.#rule(reader, names?.[index] ?? String(index)));
    }
    return rules;
  }

  /** Names given by annotation; null without it. */
  #ruleNames(count: number): readonly string[] | null {
    const text = this.#annotations[RULE_NAMES];
    if (text === undefined) return null;
    const names = text.split(',').map((name) => name.trim());
    const isGood =
      names.length === count && new Set(names).size === count && names.every((name) => /^[a-z][-a-z0-9]{0,62}$/.test(name));
    if (isGood) return names;
    const fix = `Write ${count} different names of lower-case letters, digits and "-", separated by commas`;
    this.#faults.add(
      'PN0309',
      this.#annotationsAt,
      'metadata.annotations',
      `Cannot read ${RULE_NAMES}: the names do not fit the rules`,
      fix,
    );
    return null;
  }

  #rule(rule: FieldReader, name: string): Rule {
    const from = this.#alternatives(rule, 'from', 'source', (reader) => this.#source(reader));
    const to = this.#alternatives(rule, 'to', 'operation', (reader) => this.#operation(reader));
    const when: Condition[] = [];
    for (const [index, item] of (rule.list('when')?.items ?? []).entries()) {
      const reader = rule.asMap(item, `${rule.at('when')}[${index}]`);
      const condition = reader === null ? null : this.#condition(reader);
      if (condition !== null) when.push(condition);
    }
    rule.finish();
    return { name, from, to, when, position: rule.position };
  }

  /** `from: [{source: {...}}]` and `to: [{operation: {...}}]`. */
  #alternatives<T>(rule: FieldReader, field: string, member: string, read: (reader: FieldReader) => T): readonly T[] {
    const list = rule.list(field);
    if (list === null) return [];
    const path = rule.at(field);
    if (list.items.length === 0)
      this.#faults.add('PN0203', list.position, path, `Cannot read ${field}: an empty list would match everything`);
    if (list.items.length > MAX_ALTERNATIVES)
      this.#faults.add('PN0209', list.position, path, `Cannot read ${field}: found more than ${MAX_ALTERNATIVES}`);
    const read_: T[] = [];
    for (const [index, item] of list.items.entries()) {
      const outer = rule.asMap(item, `${path}[${index}]`);
      if (outer === null) continue;
      const inner = outer.map(member);
      outer.finish();
      if (inner === null)
        this.#faults.add('PN0203', outer.position, outer.path, `Cannot read ${field}[${index}]: ${member} is missing or empty`);
      else read_.push(read(inner));
    }
    return read_;
  }

  #source(reader: FieldReader): Source {
    const source = this.#fields(reader, SOURCE_FIELDS, SOURCE_CHECKS);
    const hasAccounts = source.serviceAccounts.length > 0 || source.notServiceAccounts.length > 0;
    const hasOthers = [source.principals, source.notPrincipals, source.namespaces, source.notNamespaces].some(
      (list) => list.length > 0,
    );
    if (hasAccounts && hasOthers) {
      this.#faults.add(
        'PN0205',
        reader.position,
        reader.path,
        'Cannot read source: serviceAccounts cannot stand beside principals or namespaces',
        'Write two sources',
      );
    }
    for (const field of ['serviceAccounts', 'notServiceAccounts'] as const) {
      if (source[field].length <= MAX_SERVICE_ACCOUNTS) continue;
      this.#faults.add(
        'PN0209',
        reader.where(field),
        reader.at(field),
        `Cannot read ${field}: found more than ${MAX_SERVICE_ACCOUNTS} values`,
      );
    }
    return source;
  }

  #operation(reader: FieldReader): Operation {
    return this.#fields(reader, OPERATION_FIELDS, OPERATION_CHECKS);
  }

  #fields<F extends string>(
    reader: FieldReader,
    names: readonly F[],
    checks: Readonly<Record<F, ValueCheck>>,
  ): Readonly<Record<F, readonly string[]>> {
    const pairs = names.map(
      (name) => [name, reader.texts(name, (text, at, path) => this.#check(checks[name], text, at, path))] as const,
    );
    // An unknown or faulty field was meant to be one of these: one fault is enough.
    const isWhole = reader.finish();
    if (isWhole && !names.some((name) => reader.hasValue(name))) {
      this.#faults.add(
        'PN0203',
        reader.position,
        reader.path,
        `Cannot read ${reader.path}: it names no field`,
        `Known: ${names.join(', ')}`,
      );
    }
    // Holds because the pairs are made from exactly the names of F.
    return Object.fromEntries(pairs) as Readonly<Record<F, readonly string[]>>;
  }

  #condition(reader: FieldReader): Condition | null {
    const key = reader.text('key');
    const check = key === null ? null : checkOfKey(key);
    if (key === null) this.#faults.add('PN0204', reader.position, reader.at('key'), 'Cannot read the condition: key is missing');
    else if (check !== null && typeof check !== 'function') {
      this.#faults.add(check.code, keyPosition(reader.node('key'), reader.position), reader.at('key'), check.message, check.fix);
    }
    const valueCheck = typeof check === 'function' ? check : checkNothing;
    const values = reader.texts('values', (text, at, path) => this.#check(valueCheck, text, at, path));
    const notValues = reader.texts('notValues', (text, at, path) => this.#check(valueCheck, text, at, path));
    const isWhole = reader.finish();
    if (isWhole && !reader.hasValue('values') && !reader.hasValue('notValues')) {
      this.#faults.add('PN0204', reader.position, reader.path, 'Cannot read the condition: it has neither values nor notValues');
    }
    return key === null ? null : { key, values, notValues };
  }

  #check(check: ValueCheck, text: string, at: Position, path: string): void {
    const wrong = check(text);
    if (wrong !== null) this.#faults.add(wrong.code, at, path, wrong.message, wrong.fix);
  }
}

function keyPosition(node: YamlNode | null, otherwise: Position): Position {
  return node?.position ?? otherwise;
}

const ACTIONS = ['ALLOW', 'DENY', 'AUDIT', 'CUSTOM'] as const;
const DRY_RUN = 'istio.io/dry-run';
const RULE_NAMES = 'postern.mesh/rule-names';
// Bounds of Istio's own schema, but for rules and operations, where it has none or a smaller one.
const MAX_ALTERNATIVES = 512;
const MAX_SERVICE_ACCOUNTS = 16;
const MAX_RULES = 10_000;

const SOURCE_CHECKS: Readonly<Record<SourceField, ValueCheck>> = {
  principals: checkPrincipal,
  notPrincipals: checkPrincipal,
  requestPrincipals: checkNothing,
  notRequestPrincipals: checkNothing,
  namespaces: checkNamespace,
  notNamespaces: checkNamespace,
  serviceAccounts: checkServiceAccount,
  notServiceAccounts: checkServiceAccount,
  trustDomains: checkTrustDomain,
  notTrustDomains: checkTrustDomain,
  ipBlocks: checkIp,
  notIpBlocks: checkIp,
  remoteIpBlocks: checkIp,
  notRemoteIpBlocks: checkIp,
};

const OPERATION_CHECKS: Readonly<Record<OperationField, ValueCheck>> = {
  hosts: checkNothing,
  notHosts: checkNothing,
  ports: checkPort,
  notPorts: checkPort,
  methods: checkNothing,
  notMethods: checkNothing,
  paths: checkPath,
  notPaths: checkPath,
};
