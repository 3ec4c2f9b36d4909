/**
 * Messages of gRPC server reflection (grpc.reflection.v1, and v1alpha with the same fields) as bytes, and the services in file
 * descriptors (google.protobuf.FileDescriptorProto). Only the fields that an import reads are known here.
 */
import protobuf from 'protobufjs';

import { isMembers, listAt, membersAt, textAt } from './members.ts';
import type { ServiceMethods } from './services.ts';

/** What a server answered, as far as it is asked for. */
export type ReflectionAnswer =
  | { readonly kind: 'services'; readonly names: readonly string[] }
  | { readonly kind: 'files'; readonly services: readonly ServiceMethods[] }
  | { readonly kind: 'error'; readonly code: number; readonly message: string }
  | { readonly kind: 'unreadable' };

export function listServicesRequest(): Uint8Array {
  return REQUEST.encode(REQUEST.fromObject({ listServices: '*' })).finish();
}

/** Asks for the file that defines the service. */
export function fileOfSymbolRequest(symbol: string): Uint8Array {
  return REQUEST.encode(REQUEST.fromObject({ fileContainingSymbol: symbol })).finish();
}

/** Never throws: a server may answer anything. */
export function readAnswer(bytes: Uint8Array): ReflectionAnswer {
  const answer = decode(RESPONSE, bytes);
  if (answer === null) return { kind: 'unreadable' };
  if (Object.hasOwn(answer, 'errorResponse')) {
    const error = membersAt(answer, 'errorResponse');
    const code = error['errorCode'];
    return { kind: 'error', code: typeof code === 'number' ? code : 0, message: textAt(error, 'errorMessage') ?? '' };
  }
  if (Object.hasOwn(answer, 'listServicesResponse')) {
    const services = listAt(membersAt(answer, 'listServicesResponse'), 'service').filter(isMembers);
    return { kind: 'services', names: services.map((service) => textAt(service, 'name') ?? '') };
  }
  if (!Object.hasOwn(answer, 'fileDescriptorResponse')) return { kind: 'unreadable' };
  const services: ServiceMethods[] = [];
  for (const file of listAt(membersAt(answer, 'fileDescriptorResponse'), 'fileDescriptorProto')) {
    const found = file instanceof Uint8Array ? servicesIn(file) : null;
    if (found === null) return { kind: 'unreadable' };
    services.push(...found);
  }
  return { kind: 'files', services };
}

function servicesIn(file: Uint8Array): readonly ServiceMethods[] | null {
  const descriptor = decode(FILE, file);
  if (descriptor === null) return null;
  const prefix = textAt(descriptor, 'package') ?? '';
  const services = listAt(descriptor, 'service').filter(isMembers);
  return services.map((service) => ({
    service: `${prefix === '' ? '' : `${prefix}.`}${textAt(service, 'name') ?? ''}`,
    methods: listAt(service, 'method')
      .filter(isMembers)
      .map((method) => textAt(method, 'name') ?? ''),
  }));
}

function decode(type: protobuf.Type, bytes: Uint8Array): Readonly<Record<string, unknown>> | null {
  try {
    return type.toObject(type.decode(bytes));
  } catch {
    return null;
  }
}

const ROOT = protobuf.parse(`
syntax = "proto3";
message Request {
  oneof message_request {
    string file_containing_symbol = 4;
    string list_services = 7;
  }
}
message Response {
  oneof message_response {
    Files file_descriptor_response = 4;
    Services list_services_response = 6;
    Fault error_response = 7;
  }
}
message Files { repeated bytes file_descriptor_proto = 1; }
message Services { repeated ServiceName service = 1; }
message ServiceName { string name = 1; }
message Fault { int32 error_code = 1; string error_message = 2; }
message File { string package = 2; repeated Service service = 6; }
message Service { string name = 1; repeated Method method = 2; }
message Method { string name = 1; }
`).root;
const REQUEST = ROOT.lookupType('Request');
const RESPONSE = ROOT.lookupType('Response');
const FILE = ROOT.lookupType('File');
