/** Brings a module to life, having made sure that it is one of ours: the exports that it must have, and no import at all. */
import { PosternError } from '#base/error.ts';

/** What a module exports (authz/wasm/evaluator.ts). */
export interface Evaluator {
  readonly memory: { readonly buffer: ArrayBuffer };
  classify(descriptor: number, length: number): void;
  decide(): number;
  decideConnection(): number;
  /** The smallest answer of one stage's index, or -1. */
  scanIndex(index: number): number;
  /** Notes the rules of reported policies that match; there only where the plan has such policies. */
  report?(index: number): void;
}

/** Node's own writers, without the checks of `write`; untyped because they are undocumented. */
export interface ScratchBuffer extends Buffer {
  latin1Write(text: string, offset: number): number;
  utf8Write(text: string, offset: number): number;
}

/** The part of the WebAssembly JavaScript interface that is used; TypeScript has it only in its library for browsers. */
declare const WebAssembly: {
  readonly Module: {
    new (bytes: Uint8Array): object;
    imports(module: object): readonly object[];
    exports(module: object): readonly { readonly name: string; readonly kind: string }[];
  };
  readonly Instance: new (module: object) => { readonly exports: unknown };
};

/** @throws {PosternError} `policy_module_invalid` when the module is not one that the compiler made */
export function instantiate(wasm: Uint8Array): Evaluator {
  try {
    const module = new WebAssembly.Module(wasm);
    if (WebAssembly.Module.imports(module).length > 0) throw new Error('it has imports');
    const names = WebAssembly.Module.exports(module).map(({ name, kind }) => `${kind} ${name}`);
    const missing = EXPORTS.filter((name) => !names.includes(name));
    if (missing.length > 0) throw new Error(`it does not export ${missing.join(', ')}`);
    // The exports were just looked up by kind and name; their types are the compiler's own (authz/wasm/evaluator.ts).
    return new WebAssembly.Instance(module).exports as Evaluator;
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new PosternError('policy_module_invalid', `Cannot load the policy module: ${why}`, 'Compile the policies anew');
  }
}

const EXPORTS = ['memory memory', 'function classify', 'function decide', 'function decideConnection', 'function scanIndex'];
