/**
 * `spec.authorizers`: who answers CUSTOM policies, in the words of Istio's `meshConfig.extensionProviders` where it has them, so that
 * an entry of those can be brought along. Each entry holds one of three kinds.
 */
import { isIPv6 } from 'node:net';

import { z } from 'zod';

import { choice, count, dnsLabel, duration, filePath, flag, list, size, text } from './fields.ts';
import { isHostName } from './units.ts';

const ALGORITHMS = [
  ...(['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'HS256', 'HS384', 'HS512'] as const),
  'EdDSA',
] as const;

const bodySchema = z
  .strictObject(
    {
      maxRequestBytes: size(1, 1_048_576).describe('Longest body; a longer one is answered with 413.'),
      allowPartialMessage: flag(false).describe(
        'Must be false: a decision about half of a body is none about what is forwarded.',
      ),
      packAsBytes: flag(false).describe('Send the body as bytes instead of as text.'),
    },
    { error: 'a map with maxRequestBytes' },
  )
  .optional()
  .describe('Ask about the body as well. It is held until the answer, and only whole.');

const common = {
  timeout: duration(1).prefault('250ms').describe('From the question to its answer.'),
  concurrency: count(1, 65_536).prefault(1_024).describe('Most questions under way; one more is denied.'),
  statusOnError: httpStatus().prefault(403).describe('Status of a denial for want of an answer.'),
  includeRequestBodyInCheck: bodySchema,
};

/** Of those that are asked over a connection. */
const remote = {
  ...common,
  failOpen: flag(false).describe('Let requests pass while there is no answer. Whoever stops the authorizer then decides.'),
  service: host().describe('Address of the authorizer on this machine.'),
  port: count(1, 65_535).describe('Its port.'),
};

const grpcSchema = z.strictObject(remote, { error: 'a map with service and port' });

const httpSchema = z.strictObject(
  {
    ...remote,
    pathPrefix: urlPath().optional().describe('Put in front of the path that is asked about.'),
    includeRequestHeadersInCheck: headers('Headers of the request that are sent, beside Authorization.'),
    includeAdditionalHeadersInCheck: z
      .record(headerName(), headerValue(), { error: 'a map of texts' })
      .prefault({})
      .describe('Headers that are sent with every question.'),
    headersToUpstreamOnAllow: headers('Headers of an answer that allows which replace those of the request.'),
    headersToDownstreamOnAllow: headers('Headers of an answer that allows which are added to the response.'),
    headersToDownstreamOnDeny: headers('Headers of an answer that denies which the caller gets; without it all of them.'),
  },
  { error: 'a map with service and port' },
);

const bundleSchema = z.strictObject(
  {
    file: filePath().optional().describe('A bundle file, which is watched.'),
    url: z.string({ error: 'a URL' }).optional().describe('A bundle on a server: https, or http to this machine.'),
    tokenFile: filePath().optional().describe('File of the bearer token for the server.'),
    caFile: filePath().optional().describe('PEM of the authorities that the server is verified with.'),
    cache: filePath().optional().describe('File that keeps the last good bundle of the server.'),
    interval: duration(100).prefault('60s').describe('Between two requests to the server.'),
    longPoll: duration(0).prefault('0s').describe('How long the server may hold its answer back; 0s is no long poll.'),
  },
  { error: 'a map with file or url' },
);

const verificationSchema = z.strictObject(
  {
    keyFile: filePath().describe('PEM of a public key or certificate; for HS* the secret.'),
    keyId: z.string({ error: 'a text' }).prefault('default').describe('Name of the key.'),
    algorithm: choice(ALGORITHMS, 'RS256').describe('The one algorithm that the key is for.'),
    scope: z.string({ error: 'a text' }).optional().describe('Scope that the signature must name.'),
  },
  { error: 'a map with keyFile' },
);

const opaSchema = z.strictObject(
  {
    ...common,
    bundle: bundleSchema.describe('Where the policy comes from.'),
    verification: verificationSchema.optional().describe('Who must have signed the bundle. Needed for a bundle from a server.'),
    unsigned: flag(false).describe('Take bundles of a server unsigned. Needs saying.'),
    entrypoint: z.string({ error: 'a path of a rule, as in envoy/authz/allow' }).optional().describe('The rule that decides.'),
    fuel: count(1_000, 2_000_000_000).prefault(1_000_000_000).describe('Most steps of one evaluation.'),
    memory: size(1_048_576, 1_073_741_824).prefault('64MiB').describe('Most memory of one evaluation.'),
    input: size(1_024, 16_777_216).prefault('1MiB').describe('Longest input document.'),
    decisionLog: filePath().optional().describe('File of decision log events, one JSON object a line.'),
    statusLog: filePath().optional().describe('File of status documents, one JSON object a line.'),
    erase: list(pointer(), 'a list of JSON pointers')
      .prefault(['/input/attributes/request/http/headers/authorization', '/input/attributes/request/http/headers/cookie'])
      .describe('What decision log events leave out.'),
  },
  { error: 'a map with bundle' },
);

export const authorizerSchema = z.strictObject(
  {
    name: dnsLabel().describe('The name by which CUSTOM policies ask it.'),
    envoyExtAuthzGrpc: grpcSchema.optional().describe('An authorizer that speaks gRPC, as Envoy asks it.'),
    envoyExtAuthzHttp: httpSchema.optional().describe('An authorizer that speaks HTTP, as Envoy asks it.'),
    opa: opaSchema.optional().describe('A bundle of the Open Policy Agent, evaluated here.'),
  },
  { error: 'an authorizer: a map with name and one of envoyExtAuthzGrpc, envoyExtAuthzHttp and opa' },
);

export type AuthorizerDocument = z.output<typeof authorizerSchema>;

function headers(what: string) {
  return list(headerPattern(), 'a list of header names').prefault([]).describe(what);
}

function host() {
  return text('a host name or an address', (value) => (isHostName(value) || isIPv6(value) ? value : null));
}

/** A name, or one with `*` at one of its ends; never `*` alone. */
function headerPattern() {
  return text('a header name, as in x-user, x-user-* or *-id', (value) => {
    return /^(?:\*?[!#$%&'+.^_`|~0-9A-Za-z-]+|[!#$%&'+.^_`|~0-9A-Za-z-]+\*)$/u.test(value) ? value.toLowerCase() : null;
  });
}

function headerName() {
  return text('a header name', (value) => (/^[!#$%&'+.^_`|~0-9A-Za-z-]+$/u.test(value) ? value.toLowerCase() : null));
}

function headerValue() {
  return text('a header value of visible characters and blanks', (value) => (/^[ -~]*$/u.test(value) ? value.trim() : null));
}

function urlPath() {
  return text('a path that begins with a slash', (value) => (/^\/[!-"$->@-~]*$/u.test(value) ? value : null));
}

function pointer() {
  return text('a JSON pointer below /input or /result', (value) => (/^\/(?:input|result)(?:\/|$)/u.test(value) ? value : null));
}

/** Istio writes it as a text. */
function httpStatus() {
  const wanted = 'a status from 400 to 599';
  const asText = z.string({ error: wanted }).regex(/^[45]\d\d$/u, { error: wanted });
  return z
    .union([z.int({ error: wanted }).min(400, { error: wanted }).max(599, { error: wanted }), asText], { error: wanted })
    .transform(Number);
}
