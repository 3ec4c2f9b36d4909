/** A live gRPC server, asked for its services. */
import { join } from 'node:path';

import { Server, ServerCredentials, loadPackageDefinition } from '@grpc/grpc-js';
import type { ServiceClientConstructor } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { ReflectionService } from '@grpc/reflection';
import fc from 'fast-check';
import { afterEach, expect, test } from 'vitest';

import { readProtoFile } from '#authz/api/proto-file.ts';
import { readAnswer } from '#authz/api/reflection-messages.ts';
import { reflectServices } from '#cli/verbs/api-reflection.ts';

const PROTO = join(import.meta.dirname, 'descriptions', 'boutique.proto');
let server = new Server();
afterEach(() => server.forceShutdown());

test('reflectServices() finds what the .proto file says', async () => {
  const port = await start((definition) => new ReflectionService(definition).addToServer(server));
  const { description, faults } = await reflectServices(`127.0.0.1:${port}`);
  expect(faults).toEqual([]);
  const ids = (operations: readonly { readonly id: string }[] = []): readonly string[] =>
    operations.map(({ id }) => id).toSorted();
  const own = ids(description?.operations).filter((id) => !id.startsWith('boutique.money.'));
  expect(own).toEqual(ids(readProtoFile(PROTO, []).description?.operations));
});

test('reflectServices() says that a server has no reflection, and that none is there', async () => {
  const port = await start(() => {});
  await expect(reflectServices(`127.0.0.1:${port}`)).rejects.toThrow('UNIMPLEMENTED');
  server.forceShutdown();
  await expect(reflectServices(`127.0.0.1:${port}`)).rejects.toThrow('Cannot ask');
  await expect(reflectServices('http://127.0.0.1')).rejects.toThrow('wanted HOST:PORT');
});

test.each([
  ['nothing', Buffer.alloc(0)],
  ['bytes that are no message', Buffer.from('ffffffff', 'hex')],
  ['a descriptor that is none', Buffer.from('22050a03ffffff', 'hex')],
])('readAnswer() finds %s unreadable', (_, bytes) => {
  expect(readAnswer(bytes)).toEqual({ kind: 'unreadable' });
});

test('readAnswer() reads any bytes without a throw', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      expect(readAnswer(bytes)).toHaveProperty('kind');
    }),
    { numRuns: 2_000 },
  );
});

async function start(addReflection: (definition: ReturnType<typeof loadSync>) => void): Promise<number> {
  server = new Server();
  const definition = loadSync(PROTO, { includeDirs: [join(PROTO, '..')] });
  addReflection(definition);
  const { boutique } = loadPackageDefinition(definition);
  for (const member of Object.values(boutique ?? {})) {
    if (isService(member)) server.addService(member.service, {});
  }
  return new Promise((settle, fail) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) => {
      if (error === null) settle(port);
      else fail(error);
    });
  });
}

function isService(member: unknown): member is ServiceClientConstructor {
  return typeof member === 'function' && 'service' in member;
}
