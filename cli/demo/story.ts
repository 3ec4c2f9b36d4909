/**
 * The story as it is told: one line per fact, with the time since the start, each a thing that was just observed and held against
 * what was wanted. It knows nothing of what it tells.
 */
import type { Writable } from 'node:stream';
import { styleText } from 'node:util';

/** A thing observed. */
export interface Fact {
  /** Made of what was seen, for a reader. */
  readonly text: string;
  readonly isTrue: boolean;
  readonly wanted: string;
  readonly seen: string;
}

/** Ends an asserted story. */
export class Untruth extends Error {
  constructor({ text, wanted, seen }: Fact) {
    super(`Not true: ${text}\n  wanted: ${wanted}\n  seen:   ${seen}`);
    this.name = 'Untruth';
  }
}

export class Story {
  /** Facts that held, and that did not. */
  truths = 0;
  untruths = 0;
  readonly #out: Writable;
  readonly #isAsserted: boolean;
  readonly #startedMs: number;
  #isPaused = false;

  constructor(out: Writable, isAsserted: boolean, startedMs: number) {
    this.#out = out;
    this.#isAsserted = isAsserted;
    this.#startedMs = startedMs;
  }

  /** Seconds since the start. */
  get elapsed(): number {
    return (performance.now() - this.#startedMs) / 1_000;
  }

  /** Tells a fact. An untrue one ends the story when it is asserted. */
  fact(fact: Fact): void {
    this.observe(fact);
    if (!fact.isTrue && this.#isAsserted) throw new Untruth(fact);
  }

  /** Tells a fact, and goes on in any case. */
  observe(fact: Fact): void {
    const time = this.#style('dim', `${this.elapsed.toFixed(2).padStart(6)}s`);
    const mark = fact.isTrue ? this.#style('green', '√') : this.#style('red', '×');
    this.#write(`${time}  ${mark} ${fact.text}\n`);
    if (fact.isTrue) {
      this.truths++;
      return;
    }
    this.untruths++;
    this.detail(`wanted: ${fact.wanted}`, `seen:   ${fact.seen}`);
  }

  /** Lines below a fact: what a command printed, a list. */
  detail(...lines: readonly string[]): void {
    for (const line of lines) this.#write(`           ${this.#style('dim', line)}\n`);
  }

  /** Lines outside the story. */
  say(...lines: readonly string[]): void {
    for (const line of lines) this.#write(`${line}\n`);
  }

  heading(text: string): void {
    this.#write(`${this.#style('bold', text)}\n`);
  }

  /** Nothing is told, whatever is still being observed. */
  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    this.#isPaused = false;
  }

  /** Colours are for terminals that want them: `styleText` heeds NO_COLOR and whether this is one. */
  #style(format: 'dim' | 'green' | 'red' | 'bold', text: string): string {
    return styleText(format, text, { stream: this.#out });
  }

  #write(text: string): void {
    if (this.#isPaused) return;
    this.#out.write(text);
  }
}
