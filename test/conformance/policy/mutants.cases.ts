/**
 * Faults to plant, one at a time, in reader, planner, encoder and engine: `search` stands exactly once in `file` and is replaced.
 * The suite (suite.ts) must notice each of them.
 */

export interface Mutant {
  readonly file: string;
  readonly search: string;
  readonly replacement: string;
}

const at = (file: string, search: string, replacement: string): Mutant => ({ file: `authz/${file}`, search, replacement });

export const MUTANTS: readonly Mutant[] = [
  // Reader.
  at('policy/istio-authorization-policy.ts', "spec.word('action', ACTIONS, 'PN0207') ?? 'ALLOW'", "'ALLOW' as Action"),
  at('policy/istio-authorization-policy.ts', "if ((action === 'DENY' || action === 'CUSTOM') && rules.length === 0) {", 'if (false) {'),
  at('policy/istio-authorization-policy.ts', '? null : { key, values, notValues }', '? null : { key, values, notValues: [] }'),
  at('policy/istio-authorization-policy.ts', 'if (hasAccounts && hasOthers) {', 'if (false) {'),
  at(
    'policy/istio-authorization-policy.ts',
    'return { name, from, to, when, position: rule.position };',
    'return { name, from, to: to.slice(0, 1), when, position: rule.position };',
  ),
  at('policy/istio-authorization-policy.ts', "FALSE|False)$/.test(dryRun)", "FALSE|False)?/.test(dryRun)"),
  at(
    'policy/metadata.ts',
    "const labels = selector.textMap('matchLabels');",
    "const labels = { ...selector.textMap('matchLabels'), app: 'orders' };",
  ),
  at('policy/metadata.ts', 'ways.filter(Boolean).length > 1', 'false'),
  at('policy/istio-authorization-policy.ts', 'notIpBlocks: checkIp', 'notIpBlocks: checkNothing'),
  at('policy/values.ts', 'Number(text) <= 65_535', 'Number(text) <= 99_999'),
  at('policy/values.ts', 'if (isAfterRest) return badTemplate', 'if (false) return badTemplate'),
  at('policy/values.ts', "segment === '{*}' || segment === '{**}') {", "segment === '{*}') {"),
  at('policy/fields.ts', 'if (this.#known.includes(key)) continue;', 'continue;'),
  at('policy/fields.ts', 'if (list.items.length === 0) {', 'if (false) {'),
  at('policy/yaml-documents.ts', 'if (FORBIDDEN_KEYS.has(keyNode.value)) {', 'if (false) {'),
  at('policy/yaml-documents.ts', 'if (depth > MAX_DEPTH) {', 'if (false) {'),
  at('policy/read.ts', 'if (first === undefined) {', 'if (true) {'),
  at('policy/model.ts', 'if (policy.isForGateways) return false;', ''),
  at('policy/model.ts', 'namespace !== rootNamespace', 'true'),
  at('policy/model.ts', 'Object.hasOwn(labels, label) && labels[label] === wanted', 'true'),
  // Planner: what values mean.
  at('plan/patterns.ts', "if (value.endsWith('*')) return { form: 'prefix', text: toBinary(value.slice(0, -1)) };", ''),
  at('plan/patterns.ts', "stringPattern(value.toLowerCase(), 'present')", "stringPattern(value, 'present')"),
  at('plan/patterns.ts', "return stringPattern(value, 'filled');", "return stringPattern(value, 'present');"),
  at('plan/patterns.ts', "value.lastIndexOf('/')", "value.indexOf('/')"),
  at('plan/patterns.ts', 'byte < first + (1 << (8 - rest))', 'byte < first + (1 << (7 - rest))'),
  at('plan/patterns.ts', "Buffer.from(text, 'utf8').toString('latin1')", 'text'),
  at('plan/patterns.ts', "block.address.length === 4 ? '\\x04' : '\\x06'", "'\\x04'"),
  at('plan/trust-domains.ts', 'if (!isOurs) return [principal];', 'return [principal];'),
  at('plan/trust-domains.ts', 'const isOurs = written === LOCAL ||', 'const isOurs ='),
  at('plan/clauses.ts', "(this.#action === 'DENY') !== isNegated", "this.#action === 'DENY'"),
  at('plan/clauses.ts', 'if (isDropped) return [];', ''),
  at('plan/clauses.ts', 'values.length > 0 && this.#isTcp', 'false'),
  at('plan/clauses.ts', 'conjunctions.push([...source, ...operation, ...when]', 'conjunctions.push([...source, ...operation]'),
  at('plan/clauses.ts', 'this.#principals(source.notPrincipals, true)', 'this.#principals(source.notPrincipals, false)'),
  at(
    'plan/clauses.ts',
    "case 'remote.ip':\n        return ips({ kind: 'remoteIp' }",
    "case 'remote.ip':\n        return ips({ kind: 'sourceIp' }",
  ),
  // Planner: classes, automata, index.
  at(
    'plan/dimensions.ts',
    "return [this.#one('presence', { low: 2, high: 2 })];",
    "return [this.#one('presence', { low: 1, high: 2 })];",
  ),
  at('plan/dimensions.ts', 'return { low: first + 1, high: last };', 'return { low: first + 1, high: first + 1 };'),
  at('plan/dimensions.ts', 'this.#suffixes.add(reversed(pattern.text));', 'this.#suffixes.add(pattern.text);'),
  at('plan/dimensions.ts', 'low <= last.high + 1', 'low <= last.high + 2'),
  at('plan/templates.ts', "if (kind === 'valid' && node.one !== null)", "if (kind !== 'empty' && node.one !== null)"),
  at('plan/templates.ts', 'if (node.isRest) reached.push(indices[index] ?? 0);', ''),
  at('plan/templates.ts', "0123456789-._~%!$&'()*+,;=:@", "0123456789-._~%!$&'()*+,;=:@|"),
  at('plan/globs.ts', "if (step === 'some') moved.push(position + 1);", ''),
  at('plan/plan.ts', 'check.isNegated', 'false'),
  at('plan/plan.ts', 'clause.checks.filter((check) => check !== access)', '[]'),
  at('plan/plan.ts', 'hasAllow,\n    deny', 'hasAllow: false,\n    deny'),
  // Encoder, image and code.
  at('wasm/bytes.ts', '(rest === 0 && (low & 0x40) === 0)', 'rest === 0'),
  at('wasm/encoder.ts', 'runs.push({ start, end: at - zeros });', 'runs.push({ start, end: at - zeros - 1 });'),
  at('wasm/program-writer.ts', '(check.isNegated ? 1 : 0)', '0'),
  at('wasm/program-writer.ts', 'alternatives.push(cell, low, high - low)', 'alternatives.push(cell, low, high)'),
  at('wasm/image.ts', 'isWildcardByte(byte) ? 1 : 0', '1'),
  at('wasm/classifier.ts', "when(equal(load(word('cell', 'index'), 4), 'class'), [leave]),", ''),
  at('wasm/classifier.ts', "store('cell', add('count', 1)),", "store('cell', 1),"),
  at('wasm/classifier.ts', "set('at', subtract('at', 1)),", "set('at', subtract('at', 0)),"),
  at('wasm/classifier.ts', "add(differ('length', 0), 1)", "add(differ('length', 0), 0)"),
  at('wasm/automata.ts', "set('valid', and('valid', loadByte('byte', WILDCARD_TABLE))),", ''),
  at('wasm/automata.ts', "branchIf('next', differ(load('record', MOVE.state), 'state')),", ''),
  at('wasm/evaluator.ts', "when(atLeast('answer', 'best'), [giveBack('best')]),", ''),
  at('wasm/evaluator.ts', 'when(isZero(load(program, PROGRAM.hasAllow)), [giveBack(EFFECT.allow)]),', ''),
  // Engine.
  at('engine/load.ts', 'this.#cells[slot.cellStart + index] = known[index] ?? 0;', ''),
  at('engine/load.ts', 'connection.sni.toLowerCase()', 'connection.sni'),
  at('engine/load.ts', 'clear(this.#cells, header.slot);', ''),
  at('engine/load.ts', 'if (isStronger(answer, best)) best = answer;', 'best = answer;'),
  at('engine/claims.ts', 'if (path.length === 1 && WORD_LISTS.has(first))', 'if (false)'),
  at('engine/identity.ts', "sa === 'sa' &&", ''),
];
