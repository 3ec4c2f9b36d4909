/**
 * The thread in which policies are evaluated, so that one that is slow holds up no traffic. It answers questions in the order in
 * which they come; the evaluator (evaluator.ts) ends it when it takes too long.
 */
import { parentPort, workerData } from 'node:worker_threads';

import { PosternError } from '#base/error.ts';

import { parseJson, toJson } from './json.ts';
import type { WorkerAnswer, WorkerQuestion, WorkerStart } from './messages.ts';
import { loadPlanProgram } from './plan/program.ts';
import type { OpaProgram } from './program.ts';
import { loadWasmProgram } from './wasm/program.ts';

function load({ limits, policy }: WorkerStart): OpaProgram {
  const data = parseJson(policy.data);
  if (!data.ok) throw new PosternError('opa_bundle_content', `Cannot read the policy's data: found ${data.fault}`);
  const load = policy.kind === 'wasm' ? loadWasmProgram : loadPlanProgram;
  return load(policy.bytes, data.value, limits);
}

function serve(program: OpaProgram): void {
  const say = (answer: WorkerAnswer): void => parentPort?.postMessage(answer);
  parentPort?.on('message', (question: WorkerQuestion) => {
    const outcome = program.evaluate(question.entrypoint, question.input, question.nowNs);
    say({ type: 'answer', id: question.id, outcome: outcome.ok ? { ok: true, json: toJson(outcome.value) } : outcome });
  });
  say({ type: 'ready' });
}

// The evaluator starts this thread with nothing else.
serve(load(workerData as WorkerStart));
