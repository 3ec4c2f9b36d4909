/**
 * Asks a gRPC server for its services by server reflection: v1, else v1alpha. The connection is in the clear, so it is for a workload
 * on this machine. What the server answers is bounded in size, number and time.
 */
import { Client, Metadata, credentials, status } from '@grpc/grpc-js';

import type { ApiReading } from '#authz/api/description.ts';
import { ApiFaults } from '#authz/api/faults.ts';
import { fileOfSymbolRequest, listServicesRequest, readAnswer } from '#authz/api/reflection-messages.ts';
import type { ReflectionAnswer } from '#authz/api/reflection-messages.ts';
import { readServices } from '#authz/api/services.ts';
import type { ServiceMethods } from '#authz/api/services.ts';

import { EXIT, ExitError } from '../exit.ts';

/** @param address  `HOST:PORT` */
export async function reflectServices(address: string): Promise<ApiReading> {
  if (!/^(?:[^/:\s]+|\[[0-9a-fA-F:.]+\]):[0-9]{1,5}$/.test(address)) {
    throw new ExitError(EXIT.usage, `Cannot ask "${address}": wanted HOST:PORT`);
  }
  const client = new Client(`dns:${address}`, credentials.createInsecure(), {
    'grpc.max_receive_message_length': MAX_ANSWER_BYTES,
    // A proxy named by the environment would be asked in its place.
    'grpc.enable_http_proxy': 0,
    'grpc.enable_retries': 0,
  });
  try {
    return await new Reflection(client, address, Date.now() + DEADLINE_MS).read();
  } finally {
    client.close();
  }
}

class Reflection {
  readonly #client: Client;
  readonly #address: string;
  readonly #deadlineMs: number;
  #method = METHODS[0];

  constructor(client: Client, address: string, deadlineMs: number) {
    this.#client = client;
    this.#address = address;
    this.#deadlineMs = deadlineMs;
  }

  async read(): Promise<ApiReading> {
    const faults = new ApiFaults(this.#address);
    const names = await this.#names();
    if (names.length > MAX_SERVICES) {
      faults.add('api_too_large', '', `Cannot import the API: found more than ${MAX_SERVICES} services`);
      return { description: null, faults: faults.list };
    }
    const services: ServiceMethods[] = [];
    for (const name of new Set(names)) {
      // The service that answers is no part of the API.
      if (name.startsWith('grpc.reflection.')) continue;
      const answer = await this.#ask(fileOfSymbolRequest(name));
      const found = answer.kind === 'files' ? answer.services.find(({ service }) => service === name) : undefined;
      if (found === undefined) faults.add('api_invalid', name, `Cannot import the service "${name}": ${failureOf(answer)}`);
      else services.push(found);
    }
    return readServices(services, this.#address, faults);
  }

  async #names(): Promise<readonly string[]> {
    const answer = await this.#ask(listServicesRequest());
    if (answer.kind === 'services') return answer.names;
    throw new ExitError(EXIT.data, `Cannot read the services of "${this.#address}": ${failureOf(answer)}`);
  }

  async #ask(request: Uint8Array): Promise<ReflectionAnswer> {
    try {
      return await this.#call(request);
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? error.code : null;
      if (code === status.UNIMPLEMENTED && this.#method === METHODS[0]) {
        this.#method = METHODS[1];
        return this.#ask(request);
      }
      const hint = code === status.UNIMPLEMENTED ? 'Register server reflection with it, or import its .proto files' : null;
      const found = error instanceof Error ? error.message : String(error);
      throw new ExitError(EXIT.unreachable, `Cannot ask "${this.#address}" for its services: ${found}`, hint);
    }
  }

  #call(request: Uint8Array): Promise<ReflectionAnswer> {
    return new Promise((settle, fail) => {
      const options = { deadline: this.#deadlineMs };
      const call = this.#client.makeBidiStreamRequest(this.#method, toBuffer, toBytes, new Metadata(), options);
      call.once('data', (bytes: Uint8Array) => {
        settle(readAnswer(bytes));
        call.end();
      });
      call.on('error', fail);
      call.once('end', () => fail(new Error('it ended the call without an answer')));
      call.write(request);
    });
  }
}

function failureOf(answer: ReflectionAnswer): string {
  if (answer.kind === 'error') return `the server says "${answer.message}" (${answer.code})`;
  return answer.kind === 'files' ? 'the file that it names does not define it' : 'its answer cannot be read';
}

function toBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes);
}

function toBytes(bytes: Buffer): Uint8Array {
  return bytes;
}

const METHODS: readonly [string, string] = [
  '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo',
  '/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo',
];
/** For all questions together. */
const DEADLINE_MS = 10_000;
const MAX_ANSWER_BYTES = 4 * 1_048_576;
const MAX_SERVICES = 1_000;
