/** Istio's own documents for its validation: what it accepts is accepted, what it refuses is refused, each for what is wrong. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';

import { readPolicies } from '#authz/policy/read.ts';
import { vectorsDir } from '#test/support/vectors.ts';

import { DEVIATIONS, istioDocuments } from './istio-documents.ts';
import recorded from './istioctl-verdicts.json' with { type: 'json' };

const vectors = vectorsDir();

/** Names of the refused documents, and what is told of each. */
const REFUSED: Readonly<Record<string, readonly string[]>> = {
  'service-account-and-namespace': ['PN0205'],
  'service-account-and-namespace-principal': ['PN0205'],
  'bad-mode': ['PN0212'],
  'bad-port': ['PN0303'],
  'port-level-global': ['PN0205'],
  'empty-port-level': ['PN0203'],
  'zero-port': ['PN0303'],
  'high-port': ['PN0303'],
  'multi-refs': ['PN0205'],
  'ref-and-selector': ['PN0205'],
  'bad-target-name': ['PN0213'],
  'bad-target-namespace': ['PN0213'],
  'bad-target-group': ['PN0213'],
  'bad-target-kind': ['PN0213'],
  'no-issuer': ['PN0202'],
  'empty-aud': ['PN0203'],
  'invalid-jwks': ['PN0311'],
  'invalid-from-headers-no-name': ['PN0204'],
  'invalid-from-headers-empty-name': ['PN0203'],
  'invalid-from-params': ['PN0203'],
  'invalid-from-cookies': ['PN0203'],
  'invalid-claim-to-header-unset': ['PN0202'],
  'invalid-claim-to-header-claim-empty': ['PN0203'],
  'invalid-claim-to-header-header-empty': ['PN0203'],
  'invalid-claim-to-header-bad-header': ['PN0308'],
  'bad-timeout': ['PN0313'],
  'invalid-space-delimited-claims': ['PN0203'],
  'invalid-presence-value': ['PN0212'],
};

const read = (file: string): readonly { readonly text: string; readonly isMeantInvalid: boolean }[] =>
  vectors === null
    ? []
    : readFileSync(join(vectors, 'istio-validation', file), 'utf8')
        .split(/^---$/m)
        .filter((text) => /^kind:/m.test(text))
        .map((text) => ({ text: text.replace(/^_err:.*$/m, ''), isMeantInvalid: /^_err:/m.test(text) }));

describe.skipIf(vectors === null)("Istio's validation", () => {
  test('a document is accepted where istioctl accepts it, but for the deviations', () => {
    const documents = istioDocuments(vectors ?? '');
    const accepted = documents.filter(({ name, text }) => readPolicies(text, name).faults.length === 0).map(({ name }) => name);
    const byIstioctl: readonly string[] = recorded.accepted;
    const deviating = documents.filter(({ name }) => accepted.includes(name) !== byIstioctl.includes(name));
    expect(deviating.map(({ name }) => name).toSorted()).toEqual(
      DEVIATIONS.flatMap(({ documents: listed }) => listed).toSorted(),
    );
    expect(DEVIATIONS.length).toBeLessThanOrEqual(5);
    expect([...recorded.accepted, ...recorded.refused].toSorted()).toEqual(documents.map(({ name }) => name).toSorted());
  });

  test.each(['authz', 'peerauth', 'reqauth'])('every valid document of %s is accepted', (name) => {
    const documents = read(`${name}-valid.yaml`);
    expect(documents.length).toBeGreaterThan(0);
    expect(documents.flatMap(({ text }) => readPolicies(text, name).faults)).toEqual([]);
  });

  test.each(['authz', 'peerauth', 'reqauth'])('every invalid document of %s is refused for what is wrong with it', (name) => {
    const documents = read(`${name}-invalid.yaml`);
    expect(documents.length).toBeGreaterThan(0);
    for (const { isMeantInvalid, text } of documents) {
      const { documents: reports, faults } = readPolicies(text, name);
      const document = reports[0]?.name ?? '';
      expect(isMeantInvalid).toBe(true);
      const codes: readonly string[] = faults.map(({ code }) => code);
      const untold = (REFUSED[document] ?? ['a row of this table']).filter((code) => !codes.includes(code));
      expect({ document, codes, untold }).toEqual({ document, codes, untold: [] });
    }
  });
});
