/** Random HTTP/2 input, aware of its structure: mostly frames that belong together, of which some are bent. */
import {
  block,
  data,
  frame,
  GET,
  HELLO,
  number,
  POST,
  settings,
  SETTINGS_ACK,
  type Fields,
} from '#test/conformance/h2/raw-peer.ts';
import { FLAG, FRAME } from '#wire/h2/frames.ts';

import type { Random } from './h1-inputs.ts';

/** What a client might send from its first byte on. */
export function randomClient(random: Random): Buffer {
  return randomFrames(random, HELLO, randomRequest);
}

/** What a server might send to a client that has opened a few streams. */
export function randomServer(random: Random): Buffer {
  return randomFrames(random, Buffer.concat([settings(), SETTINGS_ACK]), randomResponse);
}

function randomFrames(random: Random, hello: Buffer, randomHead: (random: Random) => Fields): Buffer {
  const parts = [random.below(20) === 0 ? bent(random, hello) : hello];
  const count = 1 + random.below(25);
  let nextId = 1;
  for (let index = 0; index < count; index++) {
    const id = random.below(16) === 0 ? random.below(20) : random.below(4) === 0 ? Math.max(1, nextId - 2) : nextId;
    if (id === nextId) nextId += 2;
    const bytes = randomFrame(random, id, randomHead);
    parts.push(random.below(30) === 0 ? bent(random, bytes) : bytes);
  }
  return Buffer.concat(parts);
}

/** A field section as it might be compressed, or nearly. */
export function randomBlock(random: Random): Buffer {
  const parts: Buffer[] = [];
  const count = random.below(14);
  for (let index = 0; index < count; index++) {
    switch (random.below(9)) {
      case 0:
        parts.push(Buffer.of(0x80 | random.below(128)));
        break;
      case 1:
        parts.push(Buffer.concat([Buffer.of(0x40 | random.below(64)), randomString(random)]));
        break;
      case 2:
        parts.push(Buffer.concat([Buffer.of(0x40), randomString(random), randomString(random)]));
        break;
      case 3:
        parts.push(Buffer.concat([Buffer.of(random.below(32)), randomString(random)]));
        break;
      case 4:
        parts.push(Buffer.of(0x20 | random.below(32), random.below(256)));
        break;
      default:
        parts.push(block([randomField(random)]));
    }
  }
  return Buffer.concat(parts);
}

function randomFrame(random: Random, id: number, randomHead: (random: Random) => Fields): Buffer {
  switch (random.below(24)) {
    case 0:
      return data(id, Buffer.alloc(random.below(300), 97), random.below(2));
    case 1:
      return frame(FRAME.priority, 0, id, Buffer.from('0000000010', 'hex'));
    case 2:
      return frame(FRAME.rstStream, 0, id, number(random.below(14)));
    case 3:
      return settings([[random.below(10), random.below(4) === 0 ? random.below(2 ** 31) : random.below(70_000)]]);
    case 4:
      return frame(FRAME.ping, random.below(2), 0, 'abcdefgh');
    case 5:
      return frame(FRAME.windowUpdate, 0, random.below(2) === 0 ? 0 : id, number(random.below(100_000)));
    case 6:
      return frame(random.below(16), random.below(256), random.below(20), Buffer.alloc(random.below(40), random.below(256)));
    case 7: {
      const bytes = block(randomHead(random));
      const cut = random.below(bytes.length + 1);
      const end = random.below(6) === 0 ? 0 : FLAG.endHeaders;
      return Buffer.concat([
        frame(FRAME.headers, random.below(2), id, bytes.subarray(0, cut)),
        frame(FRAME.continuation, end, id, bytes.subarray(cut)),
      ]);
    }
    case 8: {
      const padding = random.below(20);
      const content = Buffer.concat([Buffer.of(padding), Buffer.alloc(random.below(30), 98), Buffer.alloc(padding)]);
      return frame(FRAME.data, FLAG.padded | random.below(2), id, content);
    }
    case 9:
      return frame(FRAME.headers, FLAG.endHeaders | random.below(2), id, randomBlock(random));
    default:
      return frame(FRAME.headers, FLAG.endHeaders | random.below(2), id, block(randomHead(random)));
  }
}

function randomResponse(random: Random): Fields {
  const status = random.pick(['200', '200', '200', '204', '304', '103', '100', '404', '101', '99', '']);
  return [[':status', status], ...Array.from({ length: random.below(5) }, () => randomField(random))];
}

function randomRequest(random: Random): Fields {
  const base = random.below(2) === 0 ? GET : POST;
  const fields = [...base, ...Array.from({ length: random.below(5) }, () => randomField(random))];
  if (random.below(6) === 0) fields.splice(random.below(fields.length), 1);
  return fields;
}

function randomField(random: Random): readonly [string, string] {
  const [names, values] = random.below(10) === 0 ? [BAD_NAMES, BAD_VALUES] : [NAMES, VALUES];
  const name = random.pick(names);
  const value = name === 'te' ? 'trailers' : random.pick(random.below(20) === 0 ? BAD_VALUES : values);
  return [name, value];
}

function randomString(random: Random): Buffer {
  const bytes = Buffer.alloc(random.below(12));
  for (let index = 0; index < bytes.length; index++)
    bytes[index] = random.below(3) === 0 ? random.below(256) : 97 + random.below(26);
  return Buffer.concat([Buffer.of((random.below(3) === 0 ? 0x80 : 0) | bytes.length), bytes]);
}

/** The bytes with one of them changed, left out or put in twice, or cut off. */
function bent(random: Random, bytes: Buffer): Buffer {
  const at = random.below(bytes.length);
  const before = bytes.subarray(0, at);
  switch (random.below(4)) {
    case 0:
      return Buffer.concat([before, Buffer.of(random.below(256)), bytes.subarray(at + 1)]);
    case 1:
      return Buffer.concat([before, bytes.subarray(at + 1)]);
    case 2:
      return Buffer.concat([before, bytes.subarray(at, at + 1), bytes.subarray(at)]);
    default:
      return Buffer.from(before);
  }
}

const NAMES = [
  'accept',
  'a',
  'x_y',
  'cookie',
  'cookie',
  'te',
  'authorization',
  'x-long',
  'grpc-timeout',
  'accept-encoding',
  'date',
];
const BAD_NAMES = [
  'host',
  'content-length',
  'connection',
  'expect',
  ':path',
  ':authority',
  ':method',
  ':scheme',
  ':protocol',
  ':status',
  'Upper',
  '',
  'a b',
  'transfer-encoding',
];
const VALUES = ['', 'x', '3', 'app.test', '/a?b#c', '\u00e9', '100-continue', 'v'.repeat(300), 'websocket', 'gzip, deflate'];
const BAD_VALUES = ['0', '/', 'GET', 'get', 'http', 'CONNECT', ' x', 'x\t', 'x\r\ny', 'a\0', 'app.test', 'websocket'];
