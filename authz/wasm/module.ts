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
  const functions = evaluatorFunctions(image, plan.reportCount > 0);
  // The copy frees the encoder's larger buffer.
  const wasm = encodeModule({ functions, memoryPages: image.memoryPages, image: image.bytes }).slice();
  const { http, reportStart, scratchStart, slots, tcp } = image;
  return {
    wasm,
    layout: {
      slots,
      http: http.program,
      tcp: tcp.program,
      reportStart: reportStart >> 2,
      scratchStart,
      scratchBytes: SCRATCH_BYTES,
    },
  };
}
