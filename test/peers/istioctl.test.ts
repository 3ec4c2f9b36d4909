/**
 * `istioctl validate` and this reader over the same documents: one verdict, but for the deviations that are listed. What istioctl says is
 * what is recorded of it (test/conformance/policy/istioctl-verdicts.json), which is judged where there is no istioctl; the record is
 * written anew with `POSTERN_RECORD=istioctl`.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';

import { istioDocuments } from '#test/conformance/policy/istio-documents.ts';
import recorded from '#test/conformance/policy/istioctl-verdicts.json' with { type: 'json' };
import { rarePeer } from '#test/support/peers.ts';
import { runProcess } from '#test/support/processes.ts';
import { vectorsDir } from '#test/support/vectors.ts';

const istioctl = rarePeer('istioctl');
const vectors = vectorsDir();
const folder = mkdtempSync(join(tmpdir(), 'postern-istioctl-'));
afterAll(() => rmSync(folder, { recursive: true }));

test.skipIf(istioctl === null || vectors === null)(
  'istioctl validate says of every document what is recorded of it',
  { timeout: 120_000 },
  async () => {
    const accepted: string[] = [];
    const refused: string[] = [];
    for (const { name, text } of istioDocuments(vectors ?? '')) {
      const file = join(folder, 'document.yaml');
      writeFileSync(file, text);
      // Of a cluster nothing is asked; should it be, it does not wait for one.
      const { code } = await runProcess(istioctl ?? '', ['validate', '-f', file], { env: { KUBECONFIG: '/dev/null' } });
      (code === 0 ? accepted : refused).push(name);
    }
    if (process.env['POSTERN_RECORD'] === 'istioctl')
      writeFileSync(RECORD, `${JSON.stringify({ accepted, refused }, null, 2)}\n`);
    else expect({ accepted, refused }).toEqual(recorded);
  },
);

const RECORD = join(import.meta.dirname, '../conformance/policy/istioctl-verdicts.json');
