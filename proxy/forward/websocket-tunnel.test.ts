import { describe, expect, test } from 'vitest';

import { TimerWheel } from '#base/timer-wheel.ts';
import { ResponseHead } from '#wire/h1/head.ts';
import { CLOSE_CODE, closeFrame } from '#wire/websocket/close-frame.ts';
import { fakeConnection } from '#test/support/fake-connection.ts';
import { Exchange } from '../exchange.ts';
import type { Failure } from '../failure.ts';
import { noPolicy } from '../policy-snapshot.ts';
import type { Downstream, Upstream } from './streams.ts';
import { WebsocketTunnel } from './websocket-tunnel.ts';

/** Either end of a tunnel, noting what it is told. */
class End implements Downstream, Upstream {
  readonly exchange = new Exchange(fakeConnection(), { policy: noPolicy(0), identity: null });
  readonly isBlocked = false;
  readonly isReused = false;
  readonly told: string[] = [];
  #bytes = Buffer.alloc(0);

  respondInformational(): void {}
  respondHead(): void {
    this.told.push('head');
  }
  respondBody(bytes: Buffer, start: number, end: number): void {
    this.#take(bytes.subarray(start, end));
  }
  respondEnd(): void {
    this.#ends('end');
  }
  upstreamFailed(failure: Failure): void {
    this.#ends(`failed ${failure}`);
  }
  resumeRequest(): void {}
  requestHead(): void {}
  requestBody(bytes: Buffer, start: number, end: number): void {
    this.#take(bytes.subarray(start, end));
  }
  requestEnd(): void {
    this.#ends('end');
  }
  abort(): void {
    this.#ends('abort');
  }
  resumeResponse(): void {}

  #take(bytes: Buffer): void {
    this.#bytes = Buffer.concat([this.#bytes, bytes]);
  }

  #ends(how: string): void {
    if (this.#bytes.length > 0) this.told.push(this.#bytes.toString('hex'));
    this.#bytes = Buffer.alloc(0);
    this.told.push(how);
  }
}

function open(idleMs = 0) {
  let nowMs = 0;
  const wheel = new TimerWheel(10, () => nowMs);
  const [caller, upstream] = [new End(), new End()];
  const tunnel = new WebsocketTunnel(caller, wheel, idleMs);
  tunnel.connect(upstream);
  caller.exchange.tunnel = 'websocket';
  caller.exchange.isTunnelOpen = true;
  tunnel.downstream.respondHead(new ResponseHead());
  return {
    caller,
    upstream,
    tunnel,
    respond: (hex: string) => tunnel.downstream.respondBody(Buffer.from(hex, 'hex'), 0, hex.length / 2),
    request: (hex: string) => tunnel.requestBody(Buffer.from(hex, 'hex'), 0, hex.length / 2),
    revoke: (failure: Failure = 'revoked') => {
      caller.exchange.failure = failure;
      tunnel.end();
    },
    pass: (ms: number) => {
      nowMs += ms;
      wheel.advance();
    },
  };
}

/** A masked frame of two bytes, and one that is not. */
const MASKED = '8282000000000102';
const PLAIN = '82020102';
/** 1008 and 1001 with their causes as a server says them. */
const CLOSE = closeFrame(CLOSE_CODE.policyViolation, 'revoked', null).toString('hex');
const CLOSE_DRAINING = closeFrame(CLOSE_CODE.goingAway, 'draining', null).toString('hex');
const CLOSE_IDLE = closeFrame(CLOSE_CODE.goingAway, 'tunnel_idle', null).toString('hex');

describe('a WebSocket that ends by our will', () => {
  test('between frames both ends are told at once, and the app may answer', () => {
    const { caller, upstream, tunnel, respond, request, revoke } = open();
    request(MASKED);
    respond(PLAIN);
    revoke();
    expect(caller.told).toEqual(['head', `${PLAIN}${CLOSE}`, 'end']);
    expect(upstream.told[0]).toMatch(new RegExp(`^${MASKED}8889`));
    expect(upstream.told.slice(1)).toEqual(['end']);
    respond(PLAIN);
    tunnel.downstream.respondEnd(null);
    expect(caller.told).toHaveLength(3);
    expect(upstream.told).toHaveLength(2);
  });

  test('within a frame of the app the caller gets the rest of it, then the Close frame, and nothing else', () => {
    const { caller, respond, revoke } = open();
    respond('8204aa');
    revoke();
    expect(caller.told).toEqual(['head']);
    respond('bbccdd82020304');
    expect(caller.told).toEqual(['head', `8204aabbccdd${CLOSE}`, 'end']);
  });

  test('within a frame of the caller the app gets no byte more and is reset', () => {
    const { caller, upstream, request, revoke } = open();
    request('828400000000aa');
    revoke();
    request('bbccdd');
    expect(upstream.told).toEqual(['828400000000aa', 'abort']);
    expect(caller.told).toEqual(['head', CLOSE, 'end']);
  });

  test('where no boundary comes, both are broken off within a second', () => {
    const { caller, upstream, respond, revoke, pass } = open();
    respond('8204aa');
    revoke();
    pass(950);
    expect(caller.told).toEqual(['head', '8204aa', 'failed revoked']);
    expect(upstream.told.at(-1)).toBe('abort');
  });

  test('an app that does not answer is let go after that time', () => {
    const { upstream, revoke, pass } = open();
    revoke();
    expect(upstream.told.at(-1)).toBe('end');
    pass(950);
    expect(upstream.told.at(-1)).toBe('abort');
  });

  test('an app that breaks off in the middle of a frame breaks the caller off', () => {
    const { caller, tunnel, respond, revoke } = open();
    respond('8204aa');
    revoke();
    tunnel.downstream.upstreamFailed('upstream_reset');
    expect(caller.told).toEqual(['head', '8204aa', 'failed revoked']);
  });

  test('behind a Close frame nothing is put', () => {
    const { caller, upstream, respond, request, revoke } = open();
    respond('8800');
    request('888000000000');
    revoke();
    expect(caller.told).toEqual(['head', '8800', 'end']);
    expect(upstream.told).toEqual(['888000000000', 'end']);
  });

  test('of which the frames can no longer be followed, both ends are broken off', () => {
    const { caller, upstream, respond, request, revoke, pass } = open();
    respond('827fffffffffffffffff');
    request('82ffffffffffffffffff');
    revoke();
    pass(950);
    expect(caller.told.at(-1)).toBe('failed revoked');
    expect(upstream.told.at(-1)).toBe('abort');
  });

  test('by a drain ends with 1001', () => {
    const { caller, revoke } = open();
    revoke('draining');
    expect(caller.told).toEqual(['head', CLOSE_DRAINING, 'end']);
  });

  test('by silence ends with 1001 and says so', () => {
    const { caller, respond, pass } = open(500);
    pass(400);
    respond(PLAIN);
    pass(400);
    expect(caller.told).toEqual(['head']);
    pass(200);
    expect(caller.told).toEqual(['head', `${PLAIN}${CLOSE_IDLE}`, 'end']);
    expect(caller.exchange.failure).toBe('tunnel_idle');
  });
});

test('a WebSocket whose both directions ended is left alone', () => {
  const { caller, upstream, tunnel, pass } = open(500);
  tunnel.downstream.respondEnd(null);
  tunnel.requestEnd();
  pass(2_000);
  expect(caller.told).toEqual(['head', 'end']);
  expect(upstream.told).toEqual(['end']);
  expect(caller.exchange.detail).toBe('upstream_closed');
});

test('an app that breaks off behind the closing handshake ends nothing that was not over', () => {
  const { caller, tunnel, respond, request } = open();
  request('888000000000');
  respond('8800');
  tunnel.downstream.upstreamFailed('upstream_reset');
  expect(caller.told).toEqual(['head', '8800', 'end']);
  tunnel.requestEnd();
  expect(caller.exchange.failure).toBeNull();
});

test('an app that breaks off before it is a failure', () => {
  const { caller, tunnel, respond, request } = open();
  request('888000000000');
  respond('88');
  tunnel.downstream.upstreamFailed('upstream_reset');
  expect(caller.told).toEqual(['head', '88', 'failed upstream_reset']);
});

test('what an upstream still says to a caller that is done reaches nobody', () => {
  const { caller, tunnel, respond, revoke } = open();
  revoke();
  const told = caller.told.length;
  // Its record carries another exchange by now.
  caller.exchange.isTunnelOpen = false;
  respond(PLAIN);
  tunnel.downstream.respondHead(new ResponseHead());
  tunnel.downstream.upstreamFailed('upstream_reset');
  expect(caller.told).toHaveLength(told);
});
