import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

import { expect, onTestFinished, test } from 'vitest';

import { findBreaches } from './layers.ts';

test.each([
  [
    'a layer imports upwards',
    'base/a.ts',
    "import { b } from '#authz/b.ts';",
    'base/a.ts:1: base may not import authz: "#authz/b.ts"',
  ],
  [
    'so does a type',
    'base/a.ts',
    "import type { b } from '#proto/b.ts';",
    'base/a.ts:1: base may not import proto: "#proto/b.ts"',
  ],
  ['and a re-export', 'wire/a.ts', "\nexport * from '#proxy/b.ts';", 'wire/a.ts:2: wire may not import proxy: "#proxy/b.ts"'],
  ['and import()', 'wire/a.ts', "await import('#cli/b.ts');", 'wire/a.ts:1: wire may not import cli: "#cli/b.ts"'],
  [
    'authz imports certs',
    'authz/a.ts',
    "import { b } from '#certs/b.ts';",
    'authz/a.ts:1: authz may not import certs: "#certs/b.ts"',
  ],
  [
    'certs imports wire',
    'certs/a.ts',
    "import { b } from '#wire/b.ts';",
    'certs/a.ts:1: certs may not import wire: "#wire/b.ts"',
  ],
  [
    'wire imports authz',
    'wire/a.ts',
    "import { b } from '#authz/b.ts';",
    'wire/a.ts:1: wire may not import authz: "#authz/b.ts"',
  ],
  [
    'proxy imports control',
    'proxy/a.ts',
    "import { b } from '#control/b.ts';",
    'proxy/a.ts:1: proxy may not import control: "#control/b.ts"',
  ],
  [
    'control imports proxy',
    'control/a.ts',
    "import { b } from '#proxy/b.ts';",
    'control/a.ts:1: control may not import proxy: "#proxy/b.ts"',
  ],
  ['proxy imports cli', 'proxy/a.ts', "import { b } from '#cli/b.ts';", 'proxy/a.ts:1: proxy may not import cli: "#cli/b.ts"'],
  [
    'the product imports a test',
    'cli/a.ts',
    "import { b } from '#test/b.ts';",
    'cli/a.ts:1: cli may not import test: "#test/b.ts"',
  ],
  [
    'a tool imports the product',
    'tools/a.ts',
    "import { b } from '#base/b.ts';",
    'tools/a.ts:1: tools may not import base: "#base/b.ts"',
  ],
  [
    'console takes a value',
    'console/a.ts',
    "import { b } from '#proto/b.ts';",
    'console/a.ts:1: console imports types only, "#proto/b.ts" is a value',
  ],
  [
    'console takes more than proto',
    'console/a.ts',
    "import type { b } from '#base/b.ts';",
    'console/a.ts:1: console may not import base: "#base/b.ts"',
  ],
  [
    'a unit test climbs',
    'authz/a.test.ts',
    "import { b } from '#proxy/b.ts';",
    'authz/a.test.ts:1: authz may not import proxy: "#proxy/b.ts"',
  ],
  [
    'a border is crossed by dots',
    'proxy/x/a.ts',
    "import { b } from '../../base/b.ts';",
    'proxy/x/a.ts:1: "../../base/b.ts" crosses into base: write #base/...',
  ],
  [
    'a near file is named from afar',
    'base/a.ts',
    "import { b } from '#base/b.ts';",
    'base/a.ts:1: "#base/b.ts" stays within base: write a relative path',
  ],
  ['an extension is missing', 'base/a.ts', "import { b } from './b';", 'base/a.ts:1: "./b" has no file extension'],
  [
    'node-forge is used by the proxy',
    'proxy/a.ts',
    "import forge from 'node-forge';",
    'proxy/a.ts:1: the package "node-forge" is for certs/x509/, certs/authority/ only',
  ],
  [
    'node-forge is used elsewhere in certs',
    'certs/a.ts',
    "import type forge from 'node-forge';",
    'certs/a.ts:1: the package "node-forge" is for certs/x509/, certs/authority/ only',
  ],
  [
    'jose is used outside of certs/jwt',
    'proxy/a.ts',
    "import { jwtVerify } from 'jose';",
    'proxy/a.ts:1: the package "jose" is for certs/jwt/ only',
  ],
  [
    'opa-wasm is used outside of authz/opa',
    'authz/a.ts',
    "import * as opa from '@open-policy-agent/opa-wasm';",
    'authz/a.ts:1: the package "@open-policy-agent/opa-wasm" is for authz/opa/ only',
  ],
  [
    'zod is used in the policy',
    'authz/policy/a.ts',
    "import { z } from 'zod/mini';",
    'authz/policy/a.ts:1: the package "zod" is for proto/, cli/ only',
  ],
  [
    'a package has no row',
    'cli/a.ts',
    "import chalk from 'chalk';",
    'cli/a.ts:1: the package "chalk" is in no row of tools/layers.ts',
  ],
  [
    'authz opens a socket',
    'authz/a.ts',
    "import { connect } from 'node:net';",
    'authz/a.ts:1: authz opens no sockets: "node:net"',
  ],
  ['certs opens a TLS socket', 'certs/a.ts', "import tls from 'node:tls';", 'certs/a.ts:1: certs opens no sockets: "node:tls"'],
  [
    'a part of Node is named like a package',
    'proxy/a.ts',
    "import net from 'net';",
    'proxy/a.ts:1: "net" is a part of Node: write node:net',
  ],
  ['wire speaks http2', 'wire/a.ts', "import http2 from 'node:http2';", 'wire/a.ts:1: wire opens no sockets: "node:http2"'],
])('findBreaches() tells when %s', (_why, path, text, breach) => {
  expect(findBreaches(plant({ [path]: text }))).toStrictEqual([breach]);
});

test('findBreaches() tells by which way the sidecar would load a validator', () => {
  const root = plant({
    'proxy/main.ts': "import { a } from './config.ts';",
    'proxy/config.ts': "import { b } from '#proto/schema.ts';",
    'proto/schema.ts': "import { z } from 'zod';",
  });
  expect(findBreaches(root)).toStrictEqual([
    'proto/schema.ts:1: the sidecar\'s process may not load "zod": proxy/main.ts -> proxy/config.ts -> proto/schema.ts',
  ]);
});

test('findBreaches() tells when the sidecar would load the HTTP client of Node', () => {
  const root = plant({ 'proxy/main.ts': "import { STATUS_CODES } from 'node:http';\nimport type { Server } from 'node:http';" });
  expect(findBreaches(root)).toStrictEqual([
    'proxy/main.ts:1: the sidecar\'s process may not import "node:http": write process.getBuiltinModule()',
  ]);
});

test('findBreaches() lets pass what the table allows', () => {
  const root = plant({
    'base/a.ts': "import { pino } from 'pino';",
    'authz/a.ts': "import { a } from '#base/a.ts';\nimport type { Socket } from 'node:net';",
    'authz/a.test.ts': "import { test } from 'vitest';\nimport { peer } from '#test/support/peers.ts';\nimport 'node:net';",
    'certs/x509/a.ts': "import forge from 'node-forge';",
    'proto/a.ts': "import type { a } from '#authz/a.ts';\nimport { z } from 'zod';",
    'proxy/main.ts': "import type { a } from '#proto/a.ts';\nimport { b } from './b/b.ts';",
    'proxy/b/b.ts': "import type { a } from '#certs/x509/a.ts';\nimport { pino } from '#base/a.ts';",
    'cli/main.ts': "import { run } from '#proxy/main.ts';\nimport { Command } from 'commander';",
    'test/a.ts': "import { a } from '#certs/x509/a.ts';\nimport { b } from '#test/b.ts';",
    'tools/generators.ts': "import { a } from '#authz/a.ts';",
  });
  expect(findBreaches(root)).toStrictEqual([]);
});

/** Makes a small source tree, taken away after the test. */
function plant(files: Readonly<Record<string, string>>): string {
  const root = mkdtempSync(join(tmpdir(), 'layers-'));
  onTestFinished(() => rmSync(root, { recursive: true }));
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  return root;
}
