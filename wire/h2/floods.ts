/**
 * Counts what a peer may do only so often (limits.ts), over windows that `turn` ends. Whoever asks too much is told which limit it
 * passed. Nothing here grows with what is counted.
 *
 * Hot path.
 */
import type { H2Fault } from './faults.ts';
import type { H2Limits } from './limits.ts';

export class FloodGuard {
  /** Frames of either side that open a stream or carry data; they allow more of what goes with them. */
  useful = 0;
  /** Streams that both sides ended as they should. */
  completed = 0;
  readonly #limits: H2Limits;
  #peerResets = 0;
  #streamFaults = 0;
  #emptyFrames = 0;
  #settings = 0;
  #pings = 0;
  #windowUpdates = 0;
  #priorities = 0;
  #unknownFrames = 0;
  #lateFrames = 0;
  #sinceMs: number;

  constructor(limits: H2Limits, nowMs: number) {
    this.#limits = limits;
    this.#sinceMs = nowMs;
  }

  /** Begins a new window when the last one is over. Without it counts only rise. */
  turn(nowMs: number): void {
    if (nowMs - this.#sinceMs < this.#limits.windowMs) return;
    this.#sinceMs = nowMs;
    this.useful = 0;
    this.completed = 0;
    this.#peerResets = 0;
    this.#streamFaults = 0;
    this.#emptyFrames = 0;
    this.#settings = 0;
    this.#pings = 0;
    this.#windowUpdates = 0;
    this.#priorities = 0;
    this.#unknownFrames = 0;
    this.#lateFrames = 0;
  }

  peerReset(): H2Fault | null {
    return ++this.#peerResets > this.#limits.peerResets + this.completed / COMPLETED_PER_RESET ? 'too_many_resets' : null;
  }

  streamFault(): H2Fault | null {
    return ++this.#streamFaults > this.#limits.streamFaults ? 'too_many_stream_faults' : null;
  }

  emptyFrame(): H2Fault | null {
    return ++this.#emptyFrames > this.#limits.emptyFrames ? 'too_many_empty_frames' : null;
  }

  settings(): H2Fault | null {
    return ++this.#settings > this.#limits.settings ? 'too_many_settings' : null;
  }

  ping(): H2Fault | null {
    return ++this.#pings > this.#limits.pings + this.useful ? 'too_many_pings' : null;
  }

  windowUpdate(): H2Fault | null {
    return ++this.#windowUpdates > this.#limits.windowUpdates + 10 * this.useful ? 'too_many_window_updates' : null;
  }

  priority(): H2Fault | null {
    return ++this.#priorities > this.#limits.priorities + 2 * this.useful ? 'too_many_priorities' : null;
  }

  unknownFrame(): H2Fault | null {
    return ++this.#unknownFrames > this.#limits.unknownFrames + this.useful ? 'too_many_unknown_frames' : null;
  }

  /** A frame on a stream that is over, which every peer may send now and then. */
  lateFrame(): H2Fault | null {
    return ++this.#lateFrames > this.#limits.unknownFrames + 2 * this.useful ? 'too_many_unknown_frames' : null;
  }
}

/** So many streams that go well allow a peer one more that it gives up. */
const COMPLETED_PER_RESET = 5;
