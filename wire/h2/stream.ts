/**
 * One stream (RFC 9113, section 5.1) as both sides of a session see it: how far each direction has come, the windows, and what
 * waits to be sent. It holds no function; all events go to the session's handler.
 */

export class H2Stream<Owner> {
  readonly id: number;
  /** Whatever the handler wants to find again; null until it sets it. */
  owner: Owner | null = null;
  /** The method as it is shown; of a response, that of its request. */
  method = '';
  /** `:protocol` of an extended CONNECT (RFC 8441), else ''. */
  protocol = '';
  /** Neither side sends anything any more. */
  isClosed = false;
  /** The peer has ended its direction. */
  isRemoteDone = false;
  /** We have ended ours, and everything up to the end is sent. */
  isLocalDone = false;
  /** Our end was asked for, but may still wait behind what is queued. */
  isEndAsked = false;
  /**
   * Once our direction is sent to its end, what the peer still sends is not wanted: the stream is then reset with NO_ERROR (RFC 9113,
   * section 8.1). Set before `sendEnd`.
   */
  resetsWhenSent = false;
  /** The peer's final head has come. */
  hasHead = false;
  /** What we may send (RFC 9113, section 6.9); negative after the peer has made its windows smaller. */
  sendWindow: number;
  /** What the peer may send. */
  receiveWindow: number;
  /** Bytes that came and were not yet consumed, so that no window was given back for them. */
  unconsumed = 0;
  /** Consumed bytes that the peer has not yet been told of. */
  untold = 0;
  /** Content that came, and what Content-Length promised, -1 for nothing. */
  received = 0;
  expected = -1;
  /** Runs of content that wait for a window; most streams never have one. */
  queue: Buffer[] = NO_QUEUE;
  /** Bytes of the first run that are sent already. */
  queueOffset = 0;
  /** Bytes that wait, trailers included. */
  queuedBytes = 0;
  /** Trailer lines that wait behind the content; null for none. */
  queuedTrailers: Buffer | null = null;
  /** It stands in the session's list of streams that wait. */
  isListed = false;
  /** When something last came or went, in the session's time. */
  movedAtMs = 0;

  constructor(id: number, sendWindow: number, receiveWindow: number, nowMs: number) {
    this.id = id;
    this.sendWindow = sendWindow;
    this.receiveWindow = receiveWindow;
    this.movedAtMs = nowMs;
  }

  /** Content waits for the peer: whoever feeds the stream stops until `onWritable`. */
  get isBlocked(): boolean {
    return this.queue.length > 0;
  }

  /** DATA is no message's body but a tunnel's bytes. */
  get isTunnel(): boolean {
    return this.protocol !== '' || this.method === 'CONNECT';
  }
}

/** INVARIANT: stays empty; a stream that has something to keep gets a queue of its own. */
export const NO_QUEUE: Buffer[] = [];
