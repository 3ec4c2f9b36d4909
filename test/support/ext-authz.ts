/** A real ext_authz server by gRPC (@grpc/grpc-js, messages by @grpc/proto-loader), whose answers are a test's to say. */
import {
  loadPackageDefinition,
  Server,
  ServerCredentials,
  type sendUnaryData,
  type ServerUnaryCall,
  type ServiceClientConstructor,
} from '@grpc/grpc-js';
import { fromJSON } from '@grpc/proto-loader';
import protobuf from 'protobufjs';

/** A CheckRequest as it came; names as in Envoy's JSON. */
export interface Check {
  readonly attributes: {
    readonly source: CheckPeer;
    readonly destination: CheckPeer;
    readonly request: {
      readonly http: {
        readonly method: string;
        readonly path: string;
        readonly host: string;
        readonly scheme: string;
        readonly protocol: string;
        readonly headers: Readonly<Record<string, string>>;
        readonly size: string;
        readonly body: string;
        readonly rawBody: Buffer;
      };
    };
  };
}

interface CheckPeer {
  readonly address: { readonly socketAddress: { readonly address: string; readonly portValue: number } };
  readonly principal: string;
}

/** A CheckResponse, or null for none at all. */
export type CheckAnswer = object | null;

export class ExtAuthz implements AsyncDisposable {
  readonly checks: Check[] = [];
  /** Questions that nobody waits for any more. */
  cancelled = 0;
  port = 0;
  /** May be replaced at any time. */
  answer: (check: Check) => CheckAnswer | Promise<CheckAnswer>;
  #server = new Server();

  constructor(answer: ExtAuthz['answer']) {
    this.answer = answer;
  }

  async listen(port = 0): Promise<void> {
    this.#server.addService(SERVICE, {
      Check: (call: ServerUnaryCall<Check, object>, callback: sendUnaryData<object>) => void this.#check(call, callback),
    });
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    this.#server.bindAsync(`127.0.0.1:${port}`, ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
    this.port = await promise;
  }

  /** Ends it as a crash does; `listen` starts it again. */
  kill(): void {
    this.#server.forceShutdown();
    this.#server = new Server();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.forceShutdown();
  }

  async #check(call: ServerUnaryCall<Check, object>, callback: sendUnaryData<object>): Promise<void> {
    this.checks.push(call.request);
    call.on('cancelled', () => this.cancelled++);
    const answer = await this.answer(call.request);
    if (answer !== null) callback(null, answer);
  }
}

export async function startExtAuthz(answer: ExtAuthz['answer']): Promise<ExtAuthz> {
  const server = new ExtAuthz(answer);
  await server.listen();
  return server;
}

export const ALLOWED = { status: { code: 0 } };
export const DENIED = { status: { code: 7 } };

/** Allows, with headers that replace those of the request. */
export function allowedWith(headers: Readonly<Record<string, string>>, more: object = {}): object {
  const options = Object.entries(headers).map(([key, value]) => ({ header: { key, value } }));
  return { ...ALLOWED, okResponse: { headers: options, ...more } };
}

export function deniedWith(code: number, body: string, headers: Readonly<Record<string, string>> = {}): object {
  const options = Object.entries(headers).map(([key, value]) => ({ header: { key, value } }));
  return { ...DENIED, deniedResponse: { status: { code }, headers: options, body } };
}

/** The members that are used, under the numbers and names of Envoy's and Google's files. */
const PROTO = `syntax = "proto3";
package envoy.service.auth.v3;
message Status { int32 code = 1; string message = 2; }
message SocketAddress { string address = 2; uint32 port_value = 3; }
message Address { SocketAddress socket_address = 1; }
message Peer { Address address = 1; string service = 2; string principal = 4; }
message Timestamp { int64 seconds = 1; int32 nanos = 2; }
message HttpRequest {
  string id = 1; string method = 2; map<string, string> headers = 3; string path = 4; string host = 5; string scheme = 6;
  int64 size = 9; string protocol = 10; string body = 11; bytes raw_body = 12;
}
message Request { Timestamp time = 1; HttpRequest http = 2; }
message Metadata {}
message AttributeContext { Peer source = 1; Peer destination = 2; Request request = 4; Metadata metadata_context = 11; }
message CheckRequest { AttributeContext attributes = 1; }
message HeaderValue { string key = 1; string value = 2; bytes raw_value = 3; }
message BoolValue { bool value = 1; }
message HeaderValueOption { HeaderValue header = 1; BoolValue append = 2; int32 append_action = 3; }
message HttpStatus { int32 code = 1; }
message DeniedHttpResponse { HttpStatus status = 1; repeated HeaderValueOption headers = 2; string body = 3; }
message QueryParameter { string key = 1; string value = 2; }
message OkHttpResponse {
  repeated HeaderValueOption headers = 2; repeated string headers_to_remove = 5;
  repeated HeaderValueOption response_headers_to_add = 6;
  repeated QueryParameter query_parameters_to_set = 7; repeated string query_parameters_to_remove = 8;
}
message CheckResponse {
  Status status = 1; DeniedHttpResponse denied_response = 2; OkHttpResponse ok_response = 3; DeniedHttpResponse error_response = 5;
}
service Authorization { rpc Check(CheckRequest) returns (CheckResponse); }
`;
const { root } = protobuf.parse(PROTO);
const loaded = loadPackageDefinition(fromJSON(root.toJSON(), { keepCase: false, longs: String, defaults: true }));
// The package that was just loaded has exactly this service.
const SERVICE = (loaded as unknown as { envoy: { service: { auth: { v3: { Authorization: ServiceClientConstructor } } } } }).envoy
  .service.auth.v3.Authorization.service;
