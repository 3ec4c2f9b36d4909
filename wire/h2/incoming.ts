/**
 * What a peer's frames mean (RFC 9113, sections 5.1 and 6): states, windows, header blocks over several frames, and every flood
 * counted. It answers what must be answered at once and tells the handler the rest.
 *
 * Hot path.
 */
import { ERROR_CODE } from './error-codes.ts';
import { H2_FAULTS, type H2Fault } from './faults.ts';
import type { FrameSink } from './frame-reader.ts';
import { FLAG, FRAME, frameHeaderFault, fixedPart, readUint31, readUint32 } from './frames.ts';
import { HeaderBlock } from './header-block.ts';
import { HeadReader, requestHead, responseHead, trailers } from './head-reader.ts';
import type { SessionState } from './session-state.ts';
import { DEFAULT_WINDOW_BYTES, MAX_WINDOW_BYTES } from './settings.ts';
import type { H2Stream } from './stream.ts';

export class Incoming<Owner> implements FrameSink {
  /** The peer's first frame, its SETTINGS, has come. */
  hasSettings = false;
  /** They have been read, so that `SessionState.peer` is what the peer says. */
  isPeerKnown = false;
  /** Our SETTINGS are not yet acknowledged. */
  awaitsSettingsAck = true;
  /** Our PING is not yet answered, since this time; -1 when none is out. */
  pingedAtMs = -1;
  /** When HEADERS came whose block is not complete; -1 when there is none. */
  blockOpenedAtMs = -1;
  readonly #state: SessionState<Owner>;
  readonly #heads: HeadReader;
  readonly #block: HeaderBlock;
  /** The stream whose DATA is being read, null when it is not wanted. */
  #data: H2Stream<Owner> | null = null;

  constructor(state: SessionState<Owner>) {
    this.#state = state;
    this.#heads = new HeadReader(state.limits);
    this.#block = new HeaderBlock(state.limits);
  }

  get isDead(): boolean {
    return this.#state.isDead;
  }

  frameBegins(length: number, type: number, flags: number, streamId: number): H2Fault | null {
    const fault = frameHeaderFault(length, type, flags, streamId);
    if (fault !== null) return fault;
    if (this.blockOpenedAtMs >= 0) {
      if (type !== FRAME.continuation || streamId !== this.#block.streamId) return 'header_block_interrupted';
      return this.#block.fragmentFault(length) ?? (length === 0 ? this.#state.floods.emptyFrame() : null);
    }
    if (type === FRAME.continuation) return 'frame_unexpected';
    if (!this.hasSettings) {
      // RFC 9113, section 3.4.
      if (type !== FRAME.settings || (flags & FLAG.ack) !== 0) return 'preface';
      this.hasSettings = true;
    }
    return type > FRAME.continuation ? this.#state.floods.unknownFrame() : null;
  }

  dataBegins(streamId: number, length: number, content: number): H2Fault | null {
    const state = this.#state;
    this.#data = null;
    if (length > state.receiveWindow) return 'window_overdrawn';
    state.receiveWindow -= length;
    const stream = state.streams.get(streamId);
    if (stream === undefined) {
      if (state.isIdle(streamId)) return 'stream_idle';
      state.giveBack(length);
      return state.lateData(streamId, length);
    }
    if (stream.isRemoteDone) {
      state.giveBack(length);
      return state.breakStream(stream, 'stream_half_closed');
    }
    if (length > stream.receiveWindow) {
      state.giveBack(length);
      return state.breakStream(stream, 'stream_window_overdrawn');
    }
    stream.receiveWindow -= length;
    stream.unconsumed += length;
    // Padding is consumed by coming.
    state.consumed(stream, length - content);
    if (!stream.hasHead) return state.breakStream(stream, 'message_order');
    stream.received += content;
    if (stream.expected >= 0 && stream.received > stream.expected) return state.breakStream(stream, 'content_length');
    stream.movedAtMs = state.nowMs;
    this.#data = stream;
    if (content > 0) state.floods.useful++;
    return null;
  }

  dataContent(bytes: Buffer, start: number, end: number): void {
    const stream = this.#data;
    // The handler may have reset it since the frame began.
    if (stream !== null && !stream.isClosed) this.#state.events.onData(stream, bytes, start, end);
  }

  dataEnds(content: number, endsStream: boolean): H2Fault | null {
    const stream = this.#data;
    this.#data = null;
    if (content === 0 && !endsStream) {
      const fault = this.#state.floods.emptyFrame();
      if (fault !== null) return fault;
    }
    return stream === null || stream.isClosed || !endsStream ? null : this.#endMessage(stream, false);
  }

  frame(type: number, flags: number, streamId: number, bytes: Buffer, start: number, end: number): H2Fault | null {
    switch (type) {
      case FRAME.headers:
        return this.#headers(flags, streamId, bytes, start, end);
      case FRAME.continuation:
        this.#block.add(bytes, start, end);
        return (flags & FLAG.endHeaders) === 0 ? null : this.#completeBlock();
      case FRAME.priority:
        return this.#priority(streamId, bytes, start, end);
      case FRAME.rstStream:
        return this.#reset(streamId, readUint32(bytes, start));
      case FRAME.settings:
        return this.#settings(flags, bytes, start, end);
      case FRAME.ping:
        return this.#ping(flags, bytes, start);
      case FRAME.goaway:
        return this.#goaway(readUint31(bytes, start), readUint32(bytes, start + 4));
      case FRAME.windowUpdate:
        return this.#windowUpdate(streamId, readUint31(bytes, start));
      default:
        return null;
    }
  }

  #headers(flags: number, streamId: number, bytes: Buffer, from: number, frameEnd: number): H2Fault | null {
    const isPadded = (flags & FLAG.padded) !== 0;
    const start = from + fixedPart(FRAME.headers, flags);
    const end = isPadded ? frameEnd - (bytes[from] ?? 0) : frameEnd;
    if (end < start) return 'frame_padding';
    const dependsOn = (flags & FLAG.priority) === 0 ? 0 : readUint31(bytes, start - 5);
    const endsStream = (flags & FLAG.endStream) !== 0;
    if ((flags & FLAG.endHeaders) !== 0) return this.#section(streamId, bytes, start, end, endsStream, dependsOn);
    this.#block.begin(streamId, endsStream, dependsOn);
    this.blockOpenedAtMs = this.#state.nowMs;
    const fault = this.#block.fragmentFault(end - start);
    if (fault === null) this.#block.add(bytes, start, end);
    return fault;
  }

  #completeBlock(): H2Fault | null {
    const { bytes, dependsOn, endsStream, length, streamId } = this.#block;
    this.blockOpenedAtMs = -1;
    this.#block.clear();
    return this.#section(streamId, bytes, 0, length, endsStream, dependsOn);
  }

  /** A whole field section: a head or trailers, of a stream that is there or is to be. */
  #section(id: number, bytes: Buffer, start: number, end: number, endsStream: boolean, dependsOn: number): H2Fault | null {
    const state = this.#state;
    const stream = state.streams.get(id);
    if (stream === undefined) {
      if (state.isServer && state.isIdle(id)) return this.#openStream(id, bytes, start, end, endsStream, dependsOn);
      // A client's streams have odd ids; we allow no pushes.
      if ((id & 1) === 0) return 'stream_id';
      if (state.isIdle(id)) return 'stream_idle';
      const fault = this.#heads.skip(bytes, start, end) ?? this.#late(id);
      // RFC 9113, section 5.1.1: an id that was passed over can't be used any more.
      return fault === 'stream_closed' && !state.wasStream(id) ? 'stream_id' : fault;
    }
    if (stream.isRemoteDone) return this.#skipFor(stream, 'stream_half_closed', bytes, start, end);
    if (dependsOn === id) return this.#skipFor(stream, 'stream_dependency', bytes, start, end);
    stream.movedAtMs = state.nowMs;
    return stream.hasHead
      ? this.#trailers(stream, bytes, start, end, endsStream)
      : this.#response(stream, bytes, start, end, endsStream);
  }

  #openStream(id: number, bytes: Buffer, start: number, end: number, endsStream: boolean, dependsOn: number): H2Fault | null {
    const state = this.#state;
    const { server } = state.role;
    if ((id & 1) === 0 || server === null) return 'stream_id';
    if (state.refusesStreams) return this.#heads.skip(bytes, start, end) ?? state.floods.lateFrame();
    state.lastPeerId = id;
    const heads = this.#heads;
    let fault: H2Fault | null;
    if (state.streams.size >= state.limits.concurrentStreams) {
      fault = heads.skip(bytes, start, end) ?? 'stream_refused';
    } else {
      fault = heads.request(bytes, start, end, endsStream) ?? (dependsOn === id ? 'stream_dependency' : null);
    }
    if (fault !== null) {
      const row = H2_FAULTS[fault];
      if (row.endsSession) return fault;
      state.refuse(id, row.code, state.initialReceiveWindow);
      server.onRefused(id, fault);
      return state.floods.streamFault();
    }
    const stream = state.newStream(id);
    stream.method = requestHead.method;
    stream.protocol = heads.protocol;
    stream.hasHead = true;
    stream.expected = heads.contentLength;
    server.onRequest(stream, requestHead);
    return endsStream && !stream.isClosed ? this.#endMessage(stream, false) : null;
  }

  #response(stream: H2Stream<Owner>, bytes: Buffer, start: number, end: number, endsStream: boolean): H2Fault | null {
    const state = this.#state;
    const { client } = state.role;
    if (client === null) return 'stream_id';
    const fault = this.#heads.response(bytes, start, end, endsStream, stream.method);
    if (fault !== null) return this.#judge(stream, fault);
    if (responseHead.status < 200) {
      client.onInformational(stream, responseHead);
      return null;
    }
    stream.hasHead = true;
    stream.expected = this.#heads.contentLength;
    client.onResponse(stream, responseHead);
    return endsStream && !stream.isClosed ? this.#endMessage(stream, false) : null;
  }

  #trailers(stream: H2Stream<Owner>, bytes: Buffer, start: number, end: number, endsStream: boolean): H2Fault | null {
    const fault = this.#heads.trailers(bytes, start, end);
    if (fault !== null) return this.#judge(stream, fault);
    // RFC 9113, section 8.1: only the last field section of a message may follow its content.
    if (!endsStream || stream.isTunnel) return this.#state.breakStream(stream, 'message_order');
    return this.#endMessage(stream, true);
  }

  #endMessage(stream: H2Stream<Owner>, hasTrailers: boolean): H2Fault | null {
    const state = this.#state;
    if (stream.expected >= 0 && stream.received !== stream.expected) return state.breakStream(stream, 'content_length');
    if (!stream.hasHead) return state.breakStream(stream, 'message_order');
    stream.isRemoteDone = true;
    state.events.onEnd(stream, hasTrailers ? trailers : null);
    state.remoteDone(stream);
    return null;
  }

  #judge(stream: H2Stream<Owner>, fault: H2Fault): H2Fault | null {
    return H2_FAULTS[fault].endsSession ? fault : this.#state.breakStream(stream, fault);
  }

  /** The block is read for the table's sake, the stream is broken. */
  #skipFor(stream: H2Stream<Owner>, fault: H2Fault, bytes: Buffer, start: number, end: number): H2Fault | null {
    return this.#heads.skip(bytes, start, end) ?? this.#state.breakStream(stream, fault);
  }

  /** A frame on a stream that is over: under way when we reset it, or wrong. */
  #late(id: number): H2Fault | null {
    return this.#state.wasResetByUs(id) ? this.#state.floods.lateFrame() : 'stream_closed';
  }

  /** Priorities are read, so far as they can be wrong (RFC 9113, section 5.3), and ignored. */
  #priority(id: number, bytes: Buffer, start: number, end: number): H2Fault | null {
    const stream = this.#state.streams.get(id);
    let fault: H2Fault | null = null;
    if (end - start !== 5) fault = 'stream_priority_size';
    else if (readUint31(bytes, start) === id) fault = 'stream_dependency';
    if (fault === null) return this.#state.floods.priority();
    // An idle stream can't be reset.
    if (stream === undefined) return fault === 'stream_dependency' ? 'frame_unexpected' : 'frame_size';
    return this.#state.breakStream(stream, fault);
  }

  #reset(id: number, code: number): H2Fault | null {
    const state = this.#state;
    const stream = state.streams.get(id);
    if (stream === undefined) return state.isIdle(id) ? 'stream_idle' : state.floods.lateFrame();
    // A server that answered early says so by NO_ERROR (RFC 9113, section 8.1).
    const isBroken = !stream.isRemoteDone || state.isServer;
    state.close(stream);
    state.events.onReset(stream, code, null);
    return isBroken ? state.floods.peerReset() : null;
  }

  #settings(flags: number, bytes: Buffer, start: number, end: number): H2Fault | null {
    const state = this.#state;
    if ((flags & FLAG.ack) !== 0) {
      if (!this.awaitsSettingsAck) return state.floods.settings();
      this.awaitsSettingsAck = false;
      this.#ownSettingsTaken();
      return null;
    }
    const { outgoing, peer } = state;
    const before = peer.initialWindowBytes;
    const fault = peer.apply(bytes, start, end, !state.isServer) ?? state.floods.settings();
    if (fault !== null) return fault;
    this.isPeerKnown = true;
    outgoing.head.encoder.resize(peer.headerTableBytes);
    const change = peer.initialWindowBytes - before;
    if (change !== 0) {
      for (const stream of state.streams.values()) {
        stream.sendWindow += change;
        if (stream.sendWindow > MAX_WINDOW_BYTES) return 'window_overflow';
      }
    }
    outgoing.settingsAck();
    if (change > 0) outgoing.pump();
    return null;
  }

  /** RFC 9113, section 6.9.2: from here on the peer's streams begin with our window, and those that are open change by as much. */
  #ownSettingsTaken(): void {
    const state = this.#state;
    const change = state.limits.streamWindowBytes - DEFAULT_WINDOW_BYTES;
    state.initialReceiveWindow = state.limits.streamWindowBytes;
    for (const stream of state.streams.values()) stream.receiveWindow += change;
  }

  #ping(flags: number, bytes: Buffer, start: number): H2Fault | null {
    const { floods, outgoing } = this.#state;
    if ((flags & FLAG.ack) !== 0 && this.pingedAtMs >= 0) {
      this.pingedAtMs = -1;
      return null;
    }
    const fault = floods.ping();
    if (fault === null && (flags & FLAG.ack) === 0) outgoing.ping(FLAG.ack, bytes, start);
    return fault;
  }

  #goaway(lastStreamId: number, code: number): H2Fault | null {
    const state = this.#state;
    state.isPeerGoing = true;
    if (!state.isServer) {
      // RFC 9113, section 6.8: those above were not looked at and may be sent elsewhere.
      for (const stream of state.streams.values()) {
        if (stream.id <= lastStreamId) continue;
        state.close(stream);
        state.events.onReset(stream, ERROR_CODE.refusedStream, null);
      }
    }
    state.events.onGoaway(lastStreamId, code);
    return state.floods.settings();
  }

  #windowUpdate(id: number, increment: number): H2Fault | null {
    const state = this.#state;
    const fault = state.floods.windowUpdate();
    if (fault !== null) return fault;
    if (id === 0) {
      if (increment === 0) return 'window_increment';
      state.outgoing.sendWindow += increment;
      if (state.outgoing.sendWindow > MAX_WINDOW_BYTES) return 'window_overflow';
      state.outgoing.pump();
      return null;
    }
    const stream = state.streams.get(id);
    if (stream === undefined) return state.isIdle(id) ? 'stream_idle' : null;
    if (increment === 0) return state.breakStream(stream, 'stream_window_increment');
    stream.sendWindow += increment;
    if (stream.sendWindow > MAX_WINDOW_BYTES) return state.breakStream(stream, 'stream_window_overflow');
    state.outgoing.pumpOne(stream);
    return null;
  }
}
