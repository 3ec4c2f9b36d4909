/**
 * Faults to plant in the readers (those of planner, encoder and engine: engine-mutants.cases.ts), one at a time: `search` stands exactly once in `file` and is replaced.
 * The suite (suite.ts) must notice each of them.
 */

export interface Mutant {
  readonly file: string;
  readonly search: string;
  readonly replacement: string;
}

export const at = (file: string, search: string, replacement: string): Mutant => ({ file: `authz/${file}`, search, replacement });

export const MUTANTS: readonly Mutant[] = [
  // Reader.
  at('policy/istio-authorization-policy.ts', "spec.word('action', ACTIONS, 'PN0207') ?? 'ALLOW'", "'ALLOW' as Action"),
  at(
    'policy/istio-authorization-policy.ts',
    "if ((action === 'DENY' || action === 'CUSTOM') && rules.length === 0) {",
    'if (false) {',
  ),
  at('policy/istio-authorization-policy.ts', '? null : { key, values, notValues }', '? null : { key, values, notValues: [] }'),
  at('policy/istio-authorization-policy.ts', 'if (hasAccounts && hasOthers) {', 'if (false) {'),
  at(
    'policy/istio-authorization-policy.ts',
    'return { name, from, to, when, position: rule.position };',
    'return { name, from, to: to.slice(0, 1), when, position: rule.position };',
  ),
  at('policy/istio-authorization-policy.ts', 'FALSE|False)$/.test(dryRun)', 'FALSE|False)?/.test(dryRun)'),
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
];
