/** Verdicts worked out by hand, documents that must be refused, and who is selected: on module and interpreter alike. */
import { describe, expect, test } from 'vitest';

import { REFUSED } from './reader.cases.ts';
import {
  addressFailures,
  aliasFailures,
  goodFailures,
  refusedFailures,
  runSuite,
  selectionFailures,
  strictFailures,
  verdictFailures,
} from './suite.ts';
import { VERDICTS } from './verdicts.cases.ts';

describe('a policy means', () => {
  test.each(VERDICTS.map((verdict) => ({ about: verdict.about, verdict })))('what Istio means by $about', ({ verdict }) => {
    expect(verdictFailures(verdict)).toEqual([]);
  });
});

describe('readPolicies()', () => {
  test.each(REFUSED.map((document) => ({ why: document.why, document })))('refuses $why', ({ document }) => {
    expect(refusedFailures(document)).toEqual([]);
  });

  test('reads every field', () => {
    expect(goodFailures()).toEqual([]);
  });
});

test('policies select workloads by namespace, root namespace and labels', () => {
  expect(selectionFailures()).toEqual([]);
});

test('addresses are read alike in whatever form they come', () => {
  expect(addressFailures()).toEqual([]);
});

test('strict rules mean the same in every engine at their edges', () => {
  expect(strictFailures()).toEqual([]);
});

test('principals go by the aliases of the trust domain', () => {
  expect(aliasFailures()).toEqual([]);
});

test('the suite that planted faults are tried on is content with the engine as it is', () => {
  expect(runSuite(1000, 7)).toEqual([]);
});
