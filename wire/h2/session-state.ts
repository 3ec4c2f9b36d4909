/**
 * What the two directions of a session share: its streams from birth to end, the windows that we grant, its floods and its end.
 * Bounds: `limits.concurrentStreams` streams, and the ids of the last 128 that were closed and that we reset.
 *
 * Hot path.
 */
import { ERROR_CODE } from './error-codes.ts';
import { H2_FAULTS, type H2Fault } from './faults.ts';
import { FloodGuard } from './floods.ts';
import type { H2Limits } from './limits.ts';
import { Outgoing, type OutgoingEvents } from './outgoing.ts';
import type { Role, StreamEvents } from './session-events.ts';
import { DEFAULT_WINDOW_BYTES, PeerSettings } from './settings.ts';
import { H2Stream } from './stream.ts';

export class SessionState<Owner> implements OutgoingEvents<Owner> {
  readonly limits: H2Limits;
  readonly role: Role<Owner>;
  readonly isServer: boolean;
  readonly peer = new PeerSettings();
  readonly outgoing: Outgoing<Owner>;
  readonly floods: FloodGuard;
  readonly streams = new Map<number, H2Stream<Owner>>();
  /** The session's time: as of the last `tick`. */
  nowMs: number;
  /** Nothing is read or sent any more. */
  isDead = false;
  fault: H2Fault | null = null;
  /** The highest stream of the peer's that we took up. */
  lastPeerId = 0;
  /** The next stream of our own. */
  nextOwnId = 1;
  /** New streams of the peer's above `lastPeerId` are passed over: our last GOAWAY is out. */
  refusesStreams = false;
  /** The peer has said that it goes. */
  isPeerGoing = false;
  /** What the peer may send on all streams together. */
  receiveWindow: number;
  /** The window that a stream of the peer's begins with; ours from the moment that it has taken our SETTINGS. */
  initialReceiveWindow = DEFAULT_WINDOW_BYTES;
  #untold = 0;
  readonly #resetIds = new Int32Array(REMEMBERED_IDS);
  /** What the peer could still send on each of them when it was reset. */
  readonly #resetWindows = new Int32Array(REMEMBERED_IDS);
  #resets = 0;
  readonly #closedIds = new Int32Array(REMEMBERED_IDS);
  #closes = 0;

  constructor(role: Role<Owner>, limits: H2Limits, nowMs: number) {
    this.role = role;
    this.isServer = role.server !== null;
    this.limits = limits;
    this.nowMs = nowMs;
    this.outgoing = new Outgoing(this);
    this.floods = new FloodGuard(limits, nowMs);
    this.receiveWindow = Math.max(DEFAULT_WINDOW_BYTES, limits.sessionWindowBytes);
  }

  /** What both roles have in common. */
  get events(): StreamEvents<Owner> {
    return this.role.server ?? this.role.client;
  }

  newStream(id: number): H2Stream<Owner> {
    const stream = new H2Stream<Owner>(id, this.peer.initialWindowBytes, this.initialReceiveWindow, this.nowMs);
    this.streams.set(id, stream);
    this.floods.useful++;
    return stream;
  }

  /** Whether the id is one that nobody has used yet. */
  isIdle(id: number): boolean {
    const isOurs = this.isServer === ((id & 1) === 0);
    return isOurs ? id >= this.nextOwnId : id > this.lastPeerId;
  }

  /** Whether we reset it so lately that frames of the peer's may still be under way. */
  wasResetByUs(id: number): boolean {
    return this.#resetIds.includes(id);
  }

  /** Content on a stream that is over: it may have been under way when we reset it, up to the window of then. */
  lateData(id: number, bytes: number): H2Fault | null {
    const place = this.#resetIds.lastIndexOf(id);
    if (place < 0) return 'stream_closed';
    const left = (this.#resetWindows[place] ?? 0) - bytes;
    this.#resetWindows[place] = left;
    return left < 0 ? 'stream_closed' : null;
  }

  /** Whether it was a stream not long ago, and not an id that was passed over. */
  wasStream(id: number): boolean {
    return this.#closedIds.includes(id);
  }

  frameSent(stream: H2Stream<Owner>): void {
    stream.movedAtMs = this.nowMs;
    this.floods.useful++;
  }

  localDone(stream: H2Stream<Owner>): void {
    stream.isLocalDone = true;
    if (stream.isRemoteDone) this.#complete(stream);
    else if (stream.resetsWhenSent) this.reset(stream, ERROR_CODE.noError);
  }

  remoteDone(stream: H2Stream<Owner>): void {
    stream.isRemoteDone = true;
    if (stream.isLocalDone) this.#complete(stream);
  }

  writable(stream: H2Stream<Owner>): void {
    this.events.onWritable(stream);
  }

  /** Ends a stream's record; windows that it still held are given back to the others. */
  close(stream: H2Stream<Owner>): void {
    if (stream.isClosed) return;
    stream.isClosed = true;
    this.streams.delete(stream.id);
    this.#closedIds[this.#closes++ % REMEMBERED_IDS] = stream.id;
    this.outgoing.forget(stream);
    const rest = stream.unconsumed;
    stream.unconsumed = 0;
    this.giveBack(rest);
  }

  /** Resets a stream without telling the handler. */
  reset(stream: H2Stream<Owner>, code: number): void {
    if (stream.isClosed) return;
    this.refuse(stream.id, code, stream.receiveWindow);
    this.close(stream);
  }

  /** Resets a stream for a fault of the peer's and tells the handler. Returns a fault when there were too many. */
  breakStream(stream: H2Stream<Owner>, fault: H2Fault): H2Fault | null {
    if (stream.isClosed) return null;
    const { code } = H2_FAULTS[fault];
    this.reset(stream, code);
    this.events.onReset(stream, code, fault);
    return this.floods.streamFault();
  }

  /** Says RST_STREAM for an id, and remembers it with the window that the peer has for it. */
  refuse(id: number, code: number, window: number): void {
    const place = this.#resets++ % REMEMBERED_IDS;
    this.#resetIds[place] = id;
    this.#resetWindows[place] = window;
    this.outgoing.reset(id, code);
  }

  /** Ends the session for a fault: GOAWAY, then every stream is told. */
  fail(fault: H2Fault): void {
    if (this.isDead) return;
    this.fault = fault;
    this.end(H2_FAULTS[fault].code, fault);
  }

  /** Ends the session now. */
  end(code: number, fault: H2Fault | null): void {
    if (this.isDead) return;
    this.isDead = true;
    this.outgoing.goaway(this.lastPeerId, code);
    for (const stream of this.streams.values()) {
      this.close(stream);
      this.events.onReset(stream, fault === null ? ERROR_CODE.cancel : code, fault);
    }
  }

  /** Content of a stream is gone: its window grows again. */
  consumed(stream: H2Stream<Owner>, bytes: number): void {
    const given = bytes < stream.unconsumed ? bytes : stream.unconsumed;
    if (given === 0 || this.isDead) return;
    stream.unconsumed -= given;
    if (!stream.isRemoteDone) {
      stream.untold += given;
      // Told in halves of the window, so that a full one never waits for a byte.
      if (2 * stream.untold >= this.limits.streamWindowBytes) {
        this.outgoing.windowUpdate(stream.id, stream.untold);
        stream.receiveWindow += stream.untold;
        stream.untold = 0;
      }
    }
    this.giveBack(given);
  }

  #complete(stream: H2Stream<Owner>): void {
    if (stream.isClosed) return;
    this.floods.completed++;
    this.close(stream);
  }

  /** Gives bytes of the session's window back. */
  giveBack(bytes: number): void {
    if (bytes === 0 || this.isDead) return;
    this.#untold += bytes;
    if (2 * this.#untold < this.limits.sessionWindowBytes) return;
    this.outgoing.windowUpdate(0, this.#untold);
    this.receiveWindow += this.#untold;
    this.#untold = 0;
  }
}

const REMEMBERED_IDS = 128;
