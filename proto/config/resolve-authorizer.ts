/** From an entry of `spec.authorizers` to what the data process gets. */
import type { AuthorizerConfig, OpaAuthorizer } from './authorizers.ts';
import type { AuthorizerDocument } from './authorizers-schema.ts';

/** @param absolute  makes a path of the file absolute */
export function resolveAuthorizer(document: AuthorizerDocument, absolute: (path: string) => string): AuthorizerConfig {
  const { name, envoyExtAuthzGrpc: grpc, envoyExtAuthzHttp: http, opa } = document;
  if (grpc !== undefined)
    return { ...common(name, grpc), failOpen: grpc.failOpen, kind: 'grpc', address: { host: grpc.service, port: grpc.port } };
  if (http !== undefined) {
    return {
      ...common(name, http),
      failOpen: http.failOpen,
      kind: 'http',
      address: { host: http.service, port: http.port },
      pathPrefix: http.pathPrefix ?? '',
      requestHeaders: http.includeRequestHeadersInCheck,
      additionalHeaders: http.includeAdditionalHeadersInCheck,
      upstreamOnAllow: http.headersToUpstreamOnAllow,
      downstreamOnAllow: http.headersToDownstreamOnAllow,
      downstreamOnDeny: http.headersToDownstreamOnDeny,
    };
  }
  return resolveOpa(name, opa, absolute);
}

type Settings = NonNullable<
  AuthorizerDocument['envoyExtAuthzGrpc'] | AuthorizerDocument['envoyExtAuthzHttp'] | AuthorizerDocument['opa']
>;

function common(name: string, settings: Settings) {
  const { concurrency, includeRequestBodyInCheck: body, statusOnError, timeout } = settings;
  return {
    name,
    timeoutMs: timeout,
    concurrency,
    statusOnError,
    body: body === undefined ? null : { maxBytes: body.maxRequestBytes, isRaw: body.packAsBytes },
  };
}

/** An entry without any kind is refused (authorizer-checks.ts) before anything is made of it. */
function resolveOpa(name: string, opa: AuthorizerDocument['opa'], absolute: (path: string) => string): AuthorizerConfig {
  if (opa === undefined) return NOBODY;
  const orAbsolute = (path: string | undefined): string | null => (path === undefined ? null : absolute(path));
  const { bundle, verification } = opa;
  const source: OpaAuthorizer['source'] =
    bundle.url === undefined
      ? { file: absolute(bundle.file ?? '') }
      : {
          url: bundle.url,
          tokenFile: orAbsolute(bundle.tokenFile),
          caFile: orAbsolute(bundle.caFile),
          cache: orAbsolute(bundle.cache),
          intervalMs: bundle.interval,
          longPollSeconds: Math.floor(bundle.longPoll / 1000),
        };
  return {
    ...common(name, opa),
    failOpen: false,
    kind: 'opa',
    source,
    verification:
      verification === undefined
        ? null
        : {
            keyFile: absolute(verification.keyFile),
            keyId: verification.keyId,
            algorithm: verification.algorithm,
            scope: verification.scope ?? null,
          },
    entrypoint: opa.entrypoint ?? null,
    limits: { fuel: opa.fuel, memoryBytes: opa.memory, inputBytes: opa.input },
    decisionLog: orAbsolute(opa.decisionLog),
    statusLog: orAbsolute(opa.statusLog),
    erase: opa.erase,
  };
}

const NOBODY: AuthorizerConfig = {
  name: '',
  timeoutMs: 1,
  concurrency: 1,
  failOpen: false,
  statusOnError: 403,
  body: null,
  kind: 'grpc',
  address: { host: '127.0.0.1', port: 1 },
};
