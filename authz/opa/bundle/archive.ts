/**
 * The files of a bundle: a gzip stream (RFC 1952) of a tar archive (POSIX.1-2001, ustar with pax names), unpacked into memory and
 * nowhere else. Only regular files with plain relative names come out of it; links, devices, names that climb, names given twice
 * and archives that unpack to more than they may are refused before any file is looked at.
 */
import { gunzipSync } from 'node:zlib';

import { PosternError } from '#base/error.ts';

import type { BundleLimits } from '../limits.ts';

/** Contents by name. Names have neither a slash at the start nor dots as a step. */
export type BundleFiles = ReadonlyMap<string, Uint8Array>;

/** @throws {PosternError} `opa_bundle_archive` */
export function unpackBundle(archive: Uint8Array, limits: BundleLimits): BundleFiles {
  if (archive.length > limits.archiveBytes)
    throw archiveFault(`found ${archive.length} bytes, wanted at most ${limits.archiveBytes}`);
  return readTar(inflate(archive, limits.unpackedBytes), limits);
}

export function archiveFault(found: string): PosternError {
  return new PosternError('opa_bundle_archive', `Cannot unpack the bundle: ${found}`, 'build it with "opa build"');
}

function inflate(archive: Uint8Array, maxBytes: number): Buffer {
  try {
    return gunzipSync(archive, { maxOutputLength: maxBytes });
  } catch (error) {
    if (error instanceof RangeError) throw archiveFault(`found more than ${maxBytes} bytes once unpacked`);
    throw archiveFault(`found no whole gzip stream (${error instanceof Error ? error.message : 'unreadable'})`);
  }
}

interface Header {
  readonly name: string;
  readonly size: number;
  readonly kind: string;
}

function readTar(tar: Buffer, limits: BundleLimits): BundleFiles {
  const files = new Map<string, Uint8Array>();
  let longName: string | null = null;
  let entries = 0;
  let at = 0;
  for (;;) {
    const block = tar.subarray(at, at + BLOCK);
    if (block.length < BLOCK) throw archiveFault('found its end in the middle of the archive');
    if (isZero(block)) break;
    if (++entries > limits.entries) throw archiveFault(`found more than ${limits.entries} entries`);
    const { kind, name, size } = readHeader(block);
    const content = tar.subarray(at + BLOCK, at + BLOCK + size);
    if (content.length < size) throw archiveFault(`found its end in the middle of "${name}"`);
    at += BLOCK + Math.ceil(size / BLOCK) * BLOCK;
    if (kind === 'pax' || kind === 'long') {
      if (size > MAX_NAME_RECORD) throw archiveFault('found a name that is too long');
      longName = kind === 'pax' ? paxName(content) : content.toString('utf8').replace(/\0+$/u, '');
      continue;
    }
    const path = plainPath(longName ?? name, kind === 'folder');
    longName = null;
    if (kind === 'folder') continue;
    if (size > limits.fileBytes) throw archiveFault(`found that "${path}" has ${size} bytes, wanted at most ${limits.fileBytes}`);
    if (files.has(path)) throw archiveFault(`found "${path}" twice`);
    files.set(path, content);
  }
  if (longName !== null) throw archiveFault('found a name without a file');
  if (!isZero(tar.subarray(at))) throw archiveFault('found more behind its end');
  return files;
}

function readHeader(block: Buffer): Header {
  const text = (from: number, length: number): string => {
    const field = block.subarray(from, from + length);
    const end = field.indexOf(0);
    return field.toString('utf8', 0, end < 0 ? length : end);
  };
  const number = (from: number, length: number): number => {
    const digits = text(from, length).trim();
    if (!/^[0-7]*$/u.test(digits)) throw archiveFault('found a number that is not octal');
    return digits === '' ? 0 : Number.parseInt(digits, 8);
  };
  if (number(148, 8) !== checksum(block)) throw archiveFault('found a header whose checksum is wrong');
  const kind = KINDS[text(156, 1)];
  const prefix = text(257, 5) === 'ustar' ? text(345, 155) : '';
  const name = prefix === '' ? text(0, 100) : `${prefix}/${text(0, 100)}`;
  if (kind === undefined) throw archiveFault(`found "${printable(name)}", which is neither a file nor a folder`);
  return { name, size: number(124, 12), kind };
}

/** The header's checksum is counted with its own field as blanks. */
function checksum(block: Buffer): number {
  let sum = 0;
  for (const [index, byte] of block.entries()) sum += index >= 148 && index < 156 ? 0x20 : byte;
  return sum;
}

/** Of an extended header only the name is taken; one that sets the size or a link would make the archive ambiguous. */
function paxName(content: Buffer): string | null {
  let path: string | null = null;
  let at = 0;
  while (at < content.length) {
    const blank = content.indexOf(0x20, at);
    const length = blank < 0 ? 0 : Number(content.toString('latin1', at, blank));
    const record = content.subarray(blank + 1, at + length - 1).toString('utf8');
    const equals = record.indexOf('=');
    if (!Number.isInteger(length) || length <= blank - at || equals < 0 || at + length > content.length) {
      throw archiveFault('found an extended header that cannot be read');
    }
    const key = record.slice(0, equals);
    if (key === 'path') path = record.slice(equals + 1);
    else if (key === 'size' || key === 'linkpath' || key.startsWith('GNU.sparse')) {
      throw archiveFault(`found an extended header that sets "${printable(key)}"`);
    }
    at += length;
  }
  return path;
}

/** Where a file is in the bundle. A name that would leave it, or that programs read differently, is refused. */
function plainPath(name: string, isFolder: boolean): string {
  if (name.length > MAX_PATH) throw archiveFault('found a name that is too long');
  const bare = name.replace(/^(?:\.?\/)+/u, '').replace(isFolder ? /\/+$/u : /$^/u, '');
  if (isFolder && (bare === '' || bare === '.')) return '';
  const isPlain = bare.split('/').every((step) => step !== '' && step !== '.' && step !== '..' && PLAIN.test(step));
  if (!isPlain) throw archiveFault(`found the name "${printable(name)}"`);
  return bare;
}

function isZero(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === 0);
}

function printable(text: string): string {
  return text.slice(0, 200).replace(/[^\x20-\x7e]/gu, '?');
}

const BLOCK = 512;
const MAX_PATH = 1_024;
const MAX_NAME_RECORD = 16_384;
const PLAIN = /^[^\p{Cc}\\:]+$/u;
const KINDS: Readonly<Record<string, string>> = { '': 'file', '0': 'file', '5': 'folder', x: 'pax', L: 'long' };
