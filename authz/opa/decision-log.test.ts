import { describe, expect, test } from 'vitest';

import { decisionEvent, statusDocument } from './decision-log.ts';
import type { DecisionRecord } from './decision-log.ts';
import { denied } from './outcome.ts';

const RECORD: DecisionRecord = {
  labels: { app: 'orders', id: 'i1' },
  decisionId: 'd1',
  bundle: { name: 'authz', revision: '7' },
  path: 'envoy/authz/allow',
  input: '{"headers":{"authorization":"Bearer x","accept":"*/*"},"n":12345678901234567890}',
  answer: { ok: true, json: '{"allowed":true}' },
  timestampMs: 1_767_225_600_000,
  evaluationNs: 41_000,
  erase: [],
};

describe('decisionEvent()', () => {
  test('is an event of OPA', () => {
    const json = decisionEvent({ ...RECORD, traceId: 't', requestedBy: '10.0.0.1:5' });
    expect(json).toContain('12345678901234567890');
    expect(JSON.parse(json)).toMatchObject({
      labels: RECORD.labels,
      decision_id: 'd1',
      trace_id: 't',
      bundles: { authz: { revision: '7' } },
      path: 'envoy/authz/allow',
      result: { allowed: true },
      requested_by: '10.0.0.1:5',
      timestamp: '2026-01-01T00:00:00.000Z',
      metrics: { timer_rego_query_eval_ns: 41_000 },
    });
  });

  test('has nothing of what is masked, and says so', () => {
    const json = decisionEvent({ ...RECORD, erase: ['/input/headers/authorization', '/input/none', '/labels/app', '/result'] });
    expect(json).not.toContain('Bearer');
    const event: unknown = JSON.parse(json);
    expect(event).toMatchObject({ erased: ['/input/headers/authorization', '/result'], input: { headers: { accept: '*/*' } } });
    expect(event).not.toHaveProperty('result');
    expect(event).toHaveProperty('labels.app');
  });

  test('tells an error by its code, and an input that cannot be read not at all', () => {
    const event: unknown = JSON.parse(decisionEvent({ ...RECORD, input: '{', answer: denied('opa_fuel') }));
    expect(event).toMatchObject({ error: { code: 'opa_fuel' } });
    expect(event).not.toHaveProperty('input');
    expect(event).not.toHaveProperty('result');
  });
});

test('statusDocument() is a status of OPA', () => {
  const bundle = {
    name: 'authz',
    activeRevision: '7',
    size: 100,
    type: 'snapshot',
    lastRequestMs: 1_767_225_600_000,
    lastSuccessfulRequestMs: 1_767_225_600_000,
    lastSuccessfulDownloadMs: null,
    lastSuccessfulActivationMs: null,
    error: { code: 'opa_bundle_signature', message: 'no' },
  } as const;
  const document: unknown = JSON.parse(statusDocument({ id: 'i1' }, [bundle]));
  expect(document).toMatchObject({
    labels: { id: 'i1' },
    bundles: { authz: { name: 'authz', active_revision: '7', last_request: '2026-01-01T00:00:00.000Z', code: 'bundle_error' } },
    plugins: { bundle: { state: 'OK' } },
  });
  expect(document).not.toHaveProperty('bundles.authz.last_successful_download');
});
