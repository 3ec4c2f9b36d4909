/** Plan -> module bytes. */
import type { ModuleLayout } from '../plan/compiled.ts';
import type { Plan } from '../plan/plan.ts';
import { encodeModule } from './encoder.ts';
import { evaluatorFunctions } from './evaluator.ts';
import { buildImage } from './image.ts';
import { SCRATCH_BYTES } from './memory-map.ts';

export interface BuiltModule {
  readonly wasm: Uint8Array;
  readonly layout: ModuleLayout;
}

export function buildModule(plan: Plan): BuiltModule {
  const image = buildImage(plan, () => null);
  const functions = evaluatorFunctions({
    scratch: image.scratchStart,
    httpProgram: image.httpProgram,
    tcpProgram: image.tcpProgram,
  });
  // The copy frees the encoder's larger buffer.
  const wasm = encodeModule({ functions, memoryPages: image.memoryPages, image: image.bytes }).slice();
  return { wasm, layout: { slots: image.slots, scratchStart: image.scratchStart, scratchBytes: SCRATCH_BYTES } };
}
