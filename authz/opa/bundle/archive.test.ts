import { gzipSync } from 'node:zlib';

import fc from 'fast-check';
import { pack } from 'tar-stream';
import type { Header } from 'tar-stream';
import { describe, expect, test } from 'vitest';

import { PosternError } from '#base/error.ts';

import { DEFAULT_BUNDLE_LIMITS } from '../limits.ts';
import { unpackBundle } from './archive.ts';

describe('unpackBundle()', () => {
  test('gives the files by plain names, long ones and those in folders too', async () => {
    const long = `${'deep/'.repeat(40)}data.json`;
    const files = unpackBundle(
      await archive([
        { name: '/.manifest' },
        { name: './data.json' },
        { name: 'a/', type: 'directory' },
        { name: 'a/data.json' },
        { name: long },
      ]),
      DEFAULT_BUNDLE_LIMITS,
    );
    expect([...files.keys()]).toEqual(['.manifest', 'data.json', 'a/data.json', long]);
    expect(Buffer.from(files.get('.manifest') ?? []).toString()).toBe('content');
  });

  test.each<{ why: string; entries: readonly Partial<Header>[]; found: RegExp }>([
    { why: 'a name that climbs', entries: [{ name: '../x' }], found: /the name/u },
    { why: 'a name that climbs further in', entries: [{ name: 'a/../../x' }], found: /the name/u },
    { why: 'a name with an empty step', entries: [{ name: 'a//b' }], found: /the name/u },
    { why: 'a name with a backslash', entries: [{ name: 'a\\b' }], found: /the name/u },
    { why: 'a name with a drive', entries: [{ name: 'C:x' }], found: /the name/u },
    { why: 'a name with a line end', entries: [{ name: 'a\nb' }], found: /the name/u },
    { why: 'a symbolic link', entries: [{ name: 'x', type: 'symlink', linkname: '/etc/passwd' }], found: /neither a file/u },
    { why: 'a hard link', entries: [{ name: 'x', type: 'link', linkname: 'data.json' }], found: /neither a file/u },
    { why: 'a device', entries: [{ name: 'x', type: 'character-device' }], found: /neither a file/u },
    { why: 'a pipe', entries: [{ name: 'x', type: 'fifo' }], found: /neither a file/u },
    { why: 'a name twice', entries: [{ name: 'x' }, { name: './x' }], found: /twice/u },
    { why: 'too many entries', entries: Array.from({ length: 6 }, (_, index) => ({ name: `f${index}` })), found: /more than 5/u },
    { why: 'a large file', entries: [{ name: 'x', size: 3_000 }], found: /3000 bytes/u },
  ])('refuses $why', async ({ entries, found }) => {
    const limits = { ...DEFAULT_BUNDLE_LIMITS, entries: 5, fileBytes: 2_000 };
    const bytes = await archive(entries);
    expect(() => unpackBundle(bytes, limits)).toThrow(found);
  });

  test.each([
    { why: 'no gzip', bytes: Buffer.from('not at all') },
    { why: 'nothing', bytes: Buffer.alloc(0) },
    { why: 'a gzip of nothing', bytes: gzipSync(Buffer.alloc(0)) },
    { why: 'a gzip of noise', bytes: gzipSync(Buffer.alloc(1024, 7)) },
    { why: 'a bomb', bytes: gzipSync(Buffer.alloc(80 * 1024 * 1024)) },
  ])('refuses $why', ({ bytes }) => {
    expect(() => unpackBundle(bytes, DEFAULT_BUNDLE_LIMITS)).toThrow(PosternError);
  });

  test('refuses an archive that is cut off, wherever it is cut', async () => {
    const whole = await archive([{ name: 'a', size: 700 }, { name: 'b' }]);
    for (let length = 0; length < whole.length; length += 7) {
      expect(() => unpackBundle(whole.subarray(0, length), DEFAULT_BUNDLE_LIMITS)).toThrow(PosternError);
    }
    const tar = await plain([{ name: 'a', size: 700 }]);
    for (let length = 0; length < tar.length - 1024; length += 64) {
      expect(() => unpackBundle(gzipSync(tar.subarray(0, length)), DEFAULT_BUNDLE_LIMITS)).toThrow(PosternError);
    }
  });

  test('refuses more than it may unpack before it has unpacked it', () => {
    const limits = { ...DEFAULT_BUNDLE_LIMITS, unpackedBytes: 10_000 };
    expect(() => unpackBundle(gzipSync(Buffer.alloc(10_001)), limits)).toThrow(/more than 10000 bytes/u);
  });

  test('takes bytes that were changed as they are or refuses them, and throws nothing else', async () => {
    const tar = await plain([{ name: 'a', size: 100 }, { name: `${'x/'.repeat(80)}y` }]);
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(tar.length - 1), fc.nat(255)), { maxLength: 4 }), (changes) => {
        const changed = Buffer.from(tar);
        for (const [at, byte] of changes) changed[at] = byte;
        try {
          for (const name of unpackBundle(gzipSync(changed), DEFAULT_BUNDLE_LIMITS).keys()) {
            expect(name.split('/')).not.toContain('..');
          }
        } catch (error) {
          expect(error).toBeInstanceOf(PosternError);
        }
      }),
      { numRuns: 300 },
    );
  });
});

async function plain(entries: readonly Partial<Header>[]): Promise<Buffer> {
  const tar = pack();
  for (const entry of entries) {
    // Only a member that is there but undefined would make it no header, and no case has one.
    const header = { ...entry, name: entry.name ?? 'x' } as Header;
    const isFile = entry.type === undefined || entry.type === 'file';
    if (isFile) tar.entry(header, entry.size === undefined ? 'content' : 'x'.repeat(entry.size));
    else tar.entry(header);
  }
  tar.finalize();
  const chunks: Buffer[] = [];
  // A pack is a stream of buffers.
  for await (const chunk of tar) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

async function archive(entries: readonly Partial<Header>[]): Promise<Buffer> {
  return gzipSync(await plain(entries));
}
