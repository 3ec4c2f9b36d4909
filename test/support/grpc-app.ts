/** A real gRPC workload and a real client of it (@grpc/grpc-js), with the service of echo.proto and reflection. */
import { join } from 'node:path';

import {
  credentials,
  loadPackageDefinition,
  Metadata,
  Server,
  ServerCredentials,
  type CallOptions,
  type Client,
  type ClientDuplexStream,
  type ClientOptions,
  type ClientReadableStream,
  type ClientUnaryCall,
  type ClientWritableStream,
  type sendUnaryData,
  type ServerDuplexStream,
  type ServerReadableStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  type ServiceClientConstructor,
  type ServiceError,
} from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { ReflectionService } from '@grpc/reflection';

import type { MeshIdentities } from './mesh-identities.ts';

export interface Question {
  readonly payload?: Buffer;
  readonly times?: number;
  readonly code?: number;
}

export interface Answer {
  readonly payload: Buffer;
  readonly number: number;
}

export type Answered = (error: ServiceError | null, answer?: Answer) => void;

/** The client that grpc-js makes of the service. */
export interface EchoClient extends Client {
  Unary(question: Question, metadata: Metadata, options: CallOptions, answered: Answered): ClientUnaryCall;
  Silent(question: Question, metadata: Metadata, options: CallOptions, answered: Answered): ClientUnaryCall;
  Collect(metadata: Metadata, options: CallOptions, answered: Answered): ClientWritableStream<Question>;
  Count(question: Question, metadata?: Metadata, options?: CallOptions): ClientReadableStream<Answer>;
  Chat(metadata?: Metadata, options?: CallOptions): ClientDuplexStream<Question, Answer>;
}

export class GrpcApp implements AsyncDisposable {
  readonly port: number;
  /** Metadata of the calls, in order of arrival. */
  readonly metadata: Metadata[] = [];
  /** Milliseconds that each call had left when it came; Infinity without a deadline. */
  readonly deadlinesMs: number[] = [];
  /** Calls that were given up before their end. */
  cancelled = 0;
  readonly #server: Server;

  constructor(server: Server, port: number) {
    this.#server = server;
    this.port = port;
  }

  /** Notes a call that begins. */
  began(call: Call): void {
    this.metadata.push(call.metadata);
    const deadline = call.getDeadline();
    this.deadlinesMs.push(Number(deadline) - Date.now());
    call.on('cancelled', () => this.cancelled++);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.forceShutdown();
  }
}

/** Starts the workload, in the clear. */
export async function startGrpcApp(): Promise<GrpcApp> {
  const server = new Server({ 'grpc.max_receive_message_length': -1, 'grpc.max_send_message_length': -1 });
  const service = echoService().service;
  let app: GrpcApp | null = null;
  const began = (call: Call): void => app?.began(call);
  server.addService(service, {
    Unary(call: ServerUnaryCall<Question, Answer>, answered: sendUnaryData<Answer>) {
      began(call);
      const { code = 0, payload = EMPTY } = call.request;
      const trailer = new Metadata();
      trailer.set('x-trailer', 'last');
      const head = new Metadata();
      head.set('x-head', 'first');
      for (const value of call.metadata.get('x-back')) head.add('x-back', value);
      call.sendMetadata(head);
      if (code !== 0) answered({ code, details: 'as asked: 50% ü', metadata: trailer });
      else answered(null, { payload, number: payload.length }, trailer);
    },
    Silent(call: ServerUnaryCall<Question, Answer>) {
      began(call);
    },
    Collect(call: ServerReadableStream<Question, Answer>, answered: sendUnaryData<Answer>) {
      began(call);
      const parts: Buffer[] = [];
      call.on('data', ({ payload = EMPTY }: Question) => parts.push(payload));
      call.on('end', () => answered(null, { payload: Buffer.concat(parts), number: parts.length }));
      call.on('error', () => {});
    },
    async Count(call: ServerWritableStream<Question, Answer>) {
      began(call);
      const { code = 0, payload = EMPTY, times = 0 } = call.request;
      for (let number = 0; number < times && !call.cancelled; number++) {
        if (!call.write({ payload, number })) await new Promise((drained) => call.once('drain', drained));
      }
      if (code === 0) call.end();
      else call.emit('error', { code, details: 'as asked' });
    },
    Chat(call: ServerDuplexStream<Question, Answer>) {
      began(call);
      let number = 0;
      call.on('data', ({ payload = EMPTY }: Question) => call.write({ payload, number: number++ }));
      call.on('end', () => call.end());
      call.on('error', () => {});
    },
  });
  server.addService(HEALTH, {
    Check(call: ServerUnaryCall<Buffer, Buffer>, answered: sendUnaryData<Buffer>) {
      began(call);
      answered(null, SERVING);
    },
  });
  new ReflectionService(loadSync(PROTO, OPTIONS)).addToServer(server);
  const port = await new Promise<number>((bound, failed) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, at) =>
      error === null ? bound(at) : failed(error),
    );
  });
  app = new GrpcApp(server, port);
  return app;
}

/** A client by mutual TLS as `account`, or in the clear without identities. */
export function grpcClient(
  port: number,
  identities: { mesh: MeshIdentities; account: string } | null,
  options: ClientOptions = {},
): EchoClient {
  const Echo = echoService();
  const channel =
    identities === null
      ? credentials.createInsecure()
      : credentials.createSsl(
          Buffer.from(identities.mesh.bundlePem),
          Buffer.from(identities.mesh.svid(identities.account).keyPem),
          Buffer.from(identities.mesh.svid(identities.account).certificatePem),
          { checkServerIdentity: () => undefined },
        );
  const client: unknown = new Echo(`127.0.0.1:${port}`, channel, {
    'grpc.max_receive_message_length': -1,
    'grpc.max_send_message_length': -1,
    'grpc.enable_retries': 0,
    // An address is no server name.
    'grpc.ssl_target_name_override': 'app.test',
    'grpc.default_authority': 'app.test',
    ...options,
  });
  return client as EchoClient; // grpc-js makes the methods from the very definition that the type is written after
}

/** Asks a client's channel for the workload's health; the status that it tells. */
export function askHealth(client: Client): Promise<number> {
  return new Promise((done, failed) => {
    client.makeUnaryRequest(HEALTH_CHECK, asIs, asIs, Buffer.alloc(0), (error, answer) => {
      if (error === null) done(answer?.[1] ?? -1);
      else failed(error);
    });
  });
}

interface Call {
  readonly metadata: Metadata;
  getDeadline(): Date | number;
  on(event: 'cancelled', listener: () => void): unknown;
}

function asIs(bytes: Buffer): Buffer {
  return bytes;
}

function echoService(): ServiceClientConstructor {
  const root: unknown = loadPackageDefinition(loadSync(PROTO, OPTIONS));
  // The shape follows from the package and service names in the file.
  return (root as { postern: { test: { Echo: ServiceClientConstructor } } }).postern.test.Echo;
}

const HEALTH_CHECK = '/grpc.health.v1.Health/Check';
/** `grpc.health.v1.Health`, its messages as bytes. */
const HEALTH = {
  Check: {
    path: HEALTH_CHECK,
    requestStream: false,
    responseStream: false,
    requestSerialize: asIs,
    requestDeserialize: asIs,
    responseSerialize: asIs,
    responseDeserialize: asIs,
  },
} as const;
/** `{ status: SERVING }` */
const SERVING = Buffer.from([8, 1]);

const PROTO = join(import.meta.dirname, 'echo.proto');
const OPTIONS = { keepCase: true, defaults: true };
const EMPTY: Buffer = Buffer.alloc(0);
