/** The part of the WebAssembly JavaScript interface that is used here; TypeScript has it only in its library for browsers. */

export interface WasmModule {
  readonly [brand]: 'module';
}

export interface WasmMemory {
  readonly buffer: ArrayBuffer;
  grow(pages: number): number;
}

export interface WasmGlobal {
  value: unknown;
}

export type WasmExports = Readonly<Record<string, unknown>>;

/** Throws what the engine throws when the module is not valid. */
export function compileModule(bytes: Uint8Array<ArrayBuffer>): WasmModule {
  return new WebAssembly.Module(bytes);
}

export function makeMemory(initial: number, maximum: number): WasmMemory {
  return new WebAssembly.Memory({ initial, maximum });
}

/** Runs the module's start function. */
export function instantiate(module: WasmModule, imports: Readonly<Record<string, object>>): WasmExports {
  return new WebAssembly.Instance(module, { env: imports }).exports;
}

export function isGlobal(value: unknown): value is WasmGlobal {
  return value instanceof WebAssembly.Global;
}

/** Whether an error is a trap of a module: something it did that no module may do, an exhausted stack apart. */
export function isTrap(error: unknown): boolean {
  return error instanceof WebAssembly.RuntimeError;
}

declare const brand: unique symbol;

declare const WebAssembly: {
  readonly Module: new (bytes: Uint8Array<ArrayBuffer>) => WasmModule;
  readonly Memory: new (limits: { readonly initial: number; readonly maximum: number }) => WasmMemory;
  readonly Instance: new (
    module: WasmModule,
    imports: Readonly<Record<string, Readonly<Record<string, object>>>>,
  ) => { readonly exports: WasmExports };
  readonly Global: new () => WasmGlobal;
  readonly RuntimeError: new () => Error;
};
