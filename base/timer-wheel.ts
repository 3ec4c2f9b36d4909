/**
 * One coarse timer for every deadline of the process: thousands of deadlines that are moved with each request and hardly ever
 * reached. Moving one later is an assignment; only an earlier one changes lists. Fires up to one tick late, never early.
 * Hot path.
 */

/** Something with one deadline at a time. Give it to one wheel only. */
export abstract class Deadline {
  /** Wheel time at which it is due; 0 is disarmed. */
  dueMs = 0;
  /** INVARIANT: while linked, the wheel visits this entry no later than `visitMs`. */
  visitMs = 0;
  previous: Deadline | null = null;
  next: Deadline | null = null;
  bucket = -1;

  abstract onDeadline(): void;
}

/** A hashed wheel of `SLOTS` buckets, each a linked list. */
export class TimerWheel {
  /** Time of the last tick, from a monotonic clock: good enough for any deadline of this wheel. */
  nowMs: number;
  readonly #tickMs: number;
  readonly #monotonicMs: () => number;
  readonly #buckets: (Deadline | null)[] = Array.from({ length: SLOTS }, () => null);
  #cursor = 0;
  #timer: NodeJS.Timeout | null = null;
  /** The last tick found a stall and fired nothing. */
  #isForgiven = false;

  constructor(tickMs: number, monotonicMs: () => number) {
    this.#tickMs = tickMs;
    this.#monotonicMs = monotonicMs;
    this.nowMs = monotonicMs();
    this.#cursor = Math.floor(this.nowMs / tickMs);
  }

  /** Starts ticking. The timer alone keeps no process alive. */
  start(): void {
    this.#timer ??= setInterval(() => this.tick(), this.#tickMs).unref();
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
  }

  /** Sets or moves a deadline to `delayMs` from now. */
  arm(entry: Deadline, delayMs: number): void {
    const dueMs = this.nowMs + delayMs;
    entry.dueMs = dueMs;
    if (entry.bucket !== -1) {
      if (dueMs >= entry.visitMs) return;
      this.#unlink(entry);
    }
    this.#link(entry, dueMs);
  }

  /** Forgets the deadline. The entry stays linked until its bucket comes round, which costs nothing here. */
  disarm(entry: Deadline): void {
    entry.dueMs = 0;
  }

  /** Takes the entry out at once, so that the wheel no longer holds it in memory. */
  remove(entry: Deadline): void {
    entry.dueMs = 0;
    if (entry.bucket !== -1) this.#unlink(entry);
  }

  /**
   * One tick of the timer. Where this process itself had stopped (a busy machine, a stopped container) nothing fires before what came in
   * meanwhile has been read: it was not the peers who were late.
   */
  tick(): void {
    const nowMs = this.#monotonicMs();
    const hasStalled = nowMs - this.nowMs > STALL_TICKS * this.#tickMs;
    if (hasStalled && !this.#isForgiven) {
      this.#isForgiven = true;
      this.nowMs = nowMs;
      return;
    }
    this.#isForgiven = false;
    this.advance();
  }

  /** Visits every bucket that time has passed and fires what is due. Called by the timer, and by tests. */
  advance(): void {
    this.nowMs = this.#monotonicMs();
    const target = Math.floor(this.nowMs / this.#tickMs);
    // After a stall longer than a whole turn, one turn visits every bucket.
    if (target - this.#cursor > SLOTS) this.#cursor = target - SLOTS;
    while (this.#cursor < target) {
      const index = this.#cursor % SLOTS;
      let entry = this.#buckets[index] ?? null;
      this.#buckets[index] = null;
      this.#cursor++;
      while (entry !== null) {
        const next: Deadline | null = entry.next;
        entry.bucket = -1;
        entry.previous = null;
        entry.next = null;
        // A callback may remove a later entry of this very list; it is then unlinked from `next` here.
        if (next !== null) next.previous = null;
        if (entry.dueMs !== 0) {
          if (entry.dueMs <= this.nowMs) {
            entry.dueMs = 0;
            this.#due.push(entry);
          } else {
            this.#link(entry, entry.dueMs);
          }
        }
        entry = next;
      }
    }
    for (let i = 0; i < this.#due.length; i++) {
      const entry = this.#due[i];
      // Armed again by the callback of another: no longer due.
      if (entry !== undefined && entry.bucket === -1) entry.onDeadline();
    }
    this.#due.length = 0;
  }

  readonly #due: Deadline[] = [];

  #link(entry: Deadline, dueMs: number): void {
    // Bucket `n` is visited at `(n + 1)` ticks: the first visit that is not early.
    let slot = Math.ceil(dueMs / this.#tickMs) - 1;
    const last = this.#cursor + SLOTS - 1;
    if (slot > last) slot = last;
    if (slot < this.#cursor) slot = this.#cursor;
    entry.visitMs = (slot + 1) * this.#tickMs;
    const index = slot % SLOTS;
    const first = this.#buckets[index] ?? null;
    entry.bucket = index;
    entry.previous = null;
    entry.next = first;
    if (first !== null) first.previous = entry;
    this.#buckets[index] = entry;
  }

  #unlink(entry: Deadline): void {
    if (entry.previous !== null) entry.previous.next = entry.next;
    else this.#buckets[entry.bucket] = entry.next;
    if (entry.next !== null) entry.next.previous = entry.previous;
    entry.bucket = -1;
    entry.previous = null;
    entry.next = null;
  }
}

const SLOTS = 512;
/** Ticks that a tick may come late before that counts as a stall. */
const STALL_TICKS = 3;
