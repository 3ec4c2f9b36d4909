/**
 * What a hostile caller sends over HTTP/2, by name: the bytes of one connection, made once so that repeating them costs the attacker
 * as little as it can. Sources: CVE-2023-44487 (rapid reset), CVE-2025-8671 (MadeYouReset), CVE-2024-27316 and its like (CONTINUATION),
 * CVE-2019-9511 to 9518 (floods, stalls), CVE-2026-47774 (cookie crumbs).
 */
import { block, data, frame, GET, HELLO, number, POST, settings, type Fields } from '#test/conformance/h2/raw-peer.ts';
import { FLAG, FRAME, PREFACE } from '#wire/h2/frames.ts';

export interface Attack {
  readonly name: string;
  /** Sent when the connection is open. */
  readonly first: Buffer;
  /** Sent again and again, as fast as the peer takes it; null when there is nothing but to wait. */
  readonly again: ((round: number) => Buffer) | null;
  /** Pause between two rounds, milliseconds: an attack by slowness. */
  readonly pauseMs: number;
  /** What the log gives as the session's or a stream's end; any of these. */
  readonly reasons: readonly string[];
}

export const ATTACKS: readonly Attack[] = [
  flood(
    'rapid reset',
    streams(2_000, (id) => [head(id), reset(id)]),
    ['too_many_resets'],
  ),
  flood(
    'MadeYouReset by window updates of 0',
    streams(2_000, (id) => [head(id), frame(FRAME.windowUpdate, 0, id, number(0))]),
    ['too_many_stream_faults'],
  ),
  flood(
    'MadeYouReset by DATA behind the end',
    streams(2_000, (id) => [head(id), data(id, 'x', FLAG.endStream)]),
    ['too_many_stream_faults'],
  ),
  flood(
    'MadeYouReset by windows that overflow',
    streams(2_000, (id) => [head(id), frame(FRAME.windowUpdate, 0, id, number(0x7fff_ffff))]),
    ['too_many_stream_faults'],
  ),
  flood(
    'streams beyond the limit',
    streams(2_000, (id) => [head(id, POST, FLAG.endHeaders)]),
    ['too_many_stream_faults', 'stream_refused'],
  ),
  flood('CONTINUATION without end', Buffer.concat([head(1, GET, 0), repeat(frame(FRAME.continuation, 0, 1, 'x'), 5_000)]), [
    'too_many_continuations',
    'hpack_string',
  ]),
  flood('empty CONTINUATION without end', Buffer.concat([head(1, GET, 0), repeat(frame(FRAME.continuation, 0, 1), 5_000)]), [
    'too_many_continuations',
    'too_many_empty_frames',
  ]),
  flood('HPACK bomb', hpackBomb(), ['fields_too_large', 'too_many_stream_faults']),
  flood(
    'cookie crumbs',
    streams(500, (id) => [head(id, [...GET, ...crumbs(120)])]),
    ['fields_too_large', 'too_many_stream_faults'],
  ),
  again('SETTINGS flood', repeat(settings([[4, 70_000]]), 1_000), ['too_many_settings']),
  again('acknowledgements of SETTINGS', repeat(frame(FRAME.settings, FLAG.ack, 0), 2_000), ['too_many_settings']),
  again('PING flood', repeat(frame(FRAME.ping, 0, 0, Buffer.alloc(8)), 1_000), ['too_many_pings']),
  again('empty DATA flood', repeat(data(1, ''), 2_000), ['too_many_empty_frames'], head(1, POST, FLAG.endHeaders)),
  again('WINDOW_UPDATE flood', repeat(frame(FRAME.windowUpdate, 0, 0, number(1)), 2_000), [
    'too_many_window_updates',
    'window_overflow',
  ]),
  again('PRIORITY flood', repeat(frame(FRAME.priority, 0, 3, Buffer.from([0, 0, 0, 0, 16])), 2_000), ['too_many_priorities']),
  again('frames of unknown types', repeat(frame(0x42, 0, 0, 'abc'), 2_000), ['too_many_unknown_frames']),
  held('windows of 0', (id) => head(id, large()), ['stream_stalled', 'too_many_stream_faults']),
  held('streams that are held open', (id) => head(id, POST, FLAG.endHeaders), ['body_timeout', 'too_many_stream_faults']),
  flood('HEADERS without end', head(1, GET, 0), ['header_block_timeout']),
  {
    name: 'a preface byte by byte',
    first: PREFACE.subarray(0, 1),
    again: (round) => PREFACE.subarray(round + 1, round + 2),
    pauseMs: 150,
    reasons: ['preface_timeout'],
  },
];

function flood(name: string, bytes: Buffer, reasons: readonly string[]): Attack {
  return { name, first: Buffer.concat([HELLO, bytes]), again: null, pauseMs: 0, reasons };
}

function again(name: string, bytes: Buffer, reasons: readonly string[], first: Buffer = Buffer.alloc(0)): Attack {
  return { name, first: Buffer.concat([HELLO, first]), again: () => bytes, pauseMs: 0, reasons };
}

/** A hundred streams at a time, without a window to answer into. */
function held(name: string, of: (id: number) => Buffer, reasons: readonly string[]): Attack {
  const batch = (round: number): Buffer => Buffer.concat(ids(100).map((id) => of(id + 200 * round)));
  const first = Buffer.concat([HELLO, settings([[4, 0]]), batch(0)]);
  return { name, first, again: (round) => batch(round + 1), pauseMs: 800, reasons };
}

/** A 4 KiB field put into the table once, then named by its index as often as a block holds. */
function hpackBomb(): Buffer {
  const value = Buffer.alloc(3_900, 'x');
  const name = Buffer.from([0x40, 1, 0x78, 0x7f, ...integer(value.length - 127)]);
  const first = Buffer.concat([block(GET), name, value]);
  const more = (id: number): Buffer =>
    frame(FRAME.headers, FLAG.endHeaders | FLAG.endStream, id, Buffer.concat([block(GET), Buffer.alloc(8_000, 0xbe)]));
  return Buffer.concat([frame(FRAME.headers, FLAG.endHeaders | FLAG.endStream, 1, first), ...ids(500).slice(1).map(more)]);
}

function integer(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push(128 + (rest % 128));
  return [...bytes, rest];
}

function crumbs(count: number): Fields {
  return Array.from({ length: count }, (_, index): readonly [string, string] => ['cookie', `c${index}=1`]);
}

function large(): Fields {
  return GET.map(([name, value]) => [name, name === ':path' ? '/large/7/100000' : value]);
}

function head(id: number, fields: Fields = GET, flags: number = FLAG.endHeaders | FLAG.endStream): Buffer {
  return frame(FRAME.headers, flags, id, block(fields));
}

function reset(id: number): Buffer {
  return frame(FRAME.rstStream, 0, id, number(8));
}

function ids(count: number): number[] {
  return Array.from({ length: count }, (_, index) => 2 * index + 1);
}

function streams(count: number, of: (id: number) => readonly Buffer[]): Buffer {
  return Buffer.concat(ids(count).flatMap(of));
}

function repeat(bytes: Buffer, times: number): Buffer {
  return Buffer.concat(Array.from({ length: times }, () => bytes));
}
