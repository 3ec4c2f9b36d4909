/** Globs over bytes as one deterministic automaton. */
import { StateNumbers, sortedUnique, splitByBudget } from './automaton.ts';
import type { GlobStep } from './patterns.ts';
import { SEPARATOR } from './patterns.ts';

export interface Glob {
  readonly id: number;
  readonly steps: readonly GlobStep[];
}

export interface GlobAutomaton {
  /** Class of each byte; bytes of one class are never told apart. */
  readonly byteClass: Uint8Array;
  readonly classCount: number;
  /** Next state at `state * classCount + class`; state 0 is dead. */
  readonly next: readonly number[];
  readonly start: number;
  /** Ids of the globs that match when the value ends in the state. */
  readonly accepts: readonly (readonly number[])[];
}

export function buildGlobs(globs: readonly Glob[]): readonly GlobAutomaton[] {
  return splitByBudget(globs, buildOne);
}

function buildOne(globs: readonly Glob[]): GlobAutomaton {
  const offsets: number[] = [];
  let size = 0;
  for (const { steps } of globs) {
    offsets.push(size);
    size += steps.length + 1;
  }
  const stepAt: (GlobStep | undefined)[] = globs.flatMap(({ steps }) => [...steps, undefined]);
  const { byteClass, samples } = classBytes(globs);
  const states = new StateNumbers(MAX_STATES);
  const start = states.of(closure(offsets, stepAt));
  const next: number[] = [];
  for (let state = 0; state < states.sets.length; state++) {
    for (const byte of samples) next.push(states.of(advance(states.sets[state] ?? [], byte, stepAt)));
  }
  const ends = new Map(globs.map(({ id, steps }, index) => [(offsets[index] ?? 0) + steps.length, id]));
  const accepts = states.sets.map((positions) => positions.flatMap((position) => ends.get(position) ?? []));
  return { byteClass, classCount: samples.length, next, start, accepts };
}

/** Positions reached without reading a byte: a run may be empty. */
function closure(positions: readonly number[], stepAt: readonly (GlobStep | undefined)[]): number[] {
  const reached = [...positions];
  for (let index = 0; index < reached.length; index++) {
    const position = reached[index] ?? 0;
    if (stepAt[position] === 'run' && !reached.includes(position + 1)) reached.push(position + 1);
  }
  return sortedUnique(reached);
}

function advance(positions: readonly number[], byte: number, stepAt: readonly (GlobStep | undefined)[]): number[] {
  const moved: number[] = [];
  for (const position of positions) {
    const step = stepAt[position];
    if (step === byte) moved.push(position + 1);
    if ((step === 'run' || step === 'some') && byte !== SEPARATOR) {
      moved.push(position);
      if (step === 'some') moved.push(position + 1);
    }
  }
  return closure(sortedUnique(moved), stepAt);
}

/** Bytes that no glob names are alike, but for the separator, which is in no run. */
function classBytes(globs: readonly Glob[]): { byteClass: Uint8Array; samples: readonly number[] } {
  const named = new Set<number>([SEPARATOR]);
  for (const { steps } of globs) for (const step of steps) if (typeof step === 'number') named.add(step);
  const byteClass = new Uint8Array(256);
  const samples: number[] = [];
  const other = Array.from({ length: 256 }, (_, byte) => byte).find((byte) => !named.has(byte));
  if (other !== undefined) samples.push(other);
  for (const byte of [...named].toSorted((left, right) => left - right)) {
    byteClass[byte] = samples.length;
    samples.push(byte);
  }
  return { byteClass, samples };
}

const MAX_STATES = 4096;
