/**
 * The shape of a `kind: Proxy` file (`postern.mesh/v1alpha1`), with defaults and the text that each setting wants to see. What
 * concerns two settings at once is in checks.ts. The JSON Schema and the configuration reference are written from here.
 *
 * INVARIANT: the `error` of every schema is what was wanted; read.ts puts what was found in front of it.
 */
import { z } from 'zod';

import {
  choice,
  cidr,
  count,
  dnsLabel,
  dnsName,
  duration,
  filePath,
  flag,
  forwarder,
  hostName,
  ipAddress,
  keyHost,
  list,
  listenAddress,
  size,
  spiffeId,
  statusAddress,
  target,
  trustDomain,
  uid,
  workload,
} from './fields.ts';
import { authorizerSchema } from './authorizers-schema.ts';
import { http2Schema } from './http2-schema.ts';

export const API_VERSION = 'postern.mesh/v1alpha1';

/** More would be no difference of clocks. */
const MOST_LEEWAY_MS = 60_000;

const PATH_POLICIES = ['none', 'base', 'merge-slashes', 'decode-and-merge', 'strict'] as const;

const inboundSchema = z.strictObject(
  {
    listen: listenAddress().describe('Where connections from the mesh are accepted.'),
    mtls: choice(['STRICT', 'PERMISSIVE', 'DISABLE'], 'STRICT').describe(
      'STRICT demands mutual TLS with an SVID; PERMISSIVE takes plaintext as well; DISABLE takes plaintext only.',
    ),
    protocol: choice(['auto', 'http', 'http1', 'http2', 'grpc', 'tcp'], 'auto').describe(
      'What the port speaks. `auto` looks at the first bytes; `tcp` looks at nothing, so that a server may speak first.',
    ),
    proxyProtocolFrom: list(cidr(), 'a list of addresses and CIDRs')
      .prefault([])
      .describe('Load balancers whose connections begin with a PROXY protocol header, version 1 or 2.'),
    forwardTo: workload().describe(
      'The workload. HTTP goes to it as HTTP/1.1, or as HTTP/2 when it reads `h2c://…` or the protocol is http2 or grpc.',
    ),
    workloadPort: count(1, 65_535).optional().describe('The port that policies see, when it is not that of `forwardTo`.'),
    pathPolicy: choice(PATH_POLICIES, 'base').describe('How a path is made canonical before it is judged and forwarded.'),
    underscores: choice(['allow', 'drop', 'reject'], 'allow').describe('What becomes of field names with an underscore.'),
    requireAlpn: flag(false).describe('Refuse a TLS client that offers no ALPN protocol, instead of taking it for HTTP/1.1.'),
  },
  { error: 'an inbound listener: a map with listen and forwardTo' },
);

const retriesSchema = z.strictObject(
  {
    attempts: count(0, 10).prefault(1).describe('Tries after the first one, of requests that may be repeated.'),
    budgetPercent: count(0, 100)
      .prefault(20)
      .describe('Retries under way in a hundred requests under way; three are always allowed.'),
    perTry: duration(0).prefault('0s').describe('Deadline of one try; 0s is `timeouts.response`.'),
  },
  { error: 'a map with attempts, budgetPercent and perTry' },
);

const outlierSchema = z.strictObject(
  {
    consecutiveFailures: count(0, 1_000).prefault(5).describe('Failures in a row that eject an endpoint; 0 never does.'),
    ejection: duration(1).prefault('30s').describe('Time of the first ejection; it grows with each further one.'),
    maxEjectedPercent: count(0, 100).prefault(50).describe('Endpoints that may be ejected at once, in a hundred.'),
  },
  { error: 'a map with consecutiveFailures, ejection and maxEjectedPercent' },
);

const circuitSchema = z.strictObject(
  {
    connections: count(1, 1_000_000).prefault(16_384).describe('Most connections to the peer.'),
    pendingRequests: count(1, 1_000_000).prefault(1_024).describe('Most requests that wait for a connection.'),
    requests: count(1, 1_000_000).prefault(16_384).describe('Most requests under way.'),
  },
  { error: 'a map with connections, pendingRequests and requests' },
);

const hboneSchema = z.strictObject(
  {
    listen: listenAddress().describe('Where tunnels are accepted, usually port 15008.'),
    addresses: list(ipAddress(), 'a list of IP addresses')
      .prefault([])
      .describe('Addresses that a tunnel may name; without them those of this machine.'),
  },
  { error: 'a map with listen' },
);

const outboundSchema = z.strictObject(
  {
    listen: listenAddress().describe('Where the workload sends its calls: a loopback address, or a Unix socket (mode 0600).'),
    protocol: choice(['auto', 'http', 'tcp'], 'auto').describe('What the workload speaks here.'),
    forwardTo: target().optional().describe('The inbound listener of the peer.'),
    endpoints: list(target(), 'a list of host:port')
      .min(1, { error: 'at least one address' })
      .optional()
      .describe('Several inbound listeners of one service, in place of `forwardTo`.'),
    http2: choice(['prefer', 'never'], 'prefer').describe('Whether HTTP/2 is offered to the peer.'),
    connectionsPerEndpoint: count(1, 64)
      .prefault(1)
      .describe('HTTP/2 connections to each endpoint; 2 or more for a peer of several processes.'),
    hboneDestination: target().optional().describe('Tunnel by HBONE: the address that the CONNECT to `forwardTo` names.'),
    retries: retriesSchema.prefault({}).describe('When a request is sent again.'),
    outlier: outlierSchema.prefault({}).describe('When an endpoint is left out for a while.'),
    circuit: circuitSchema.prefault({}).describe('When a request fails at once.'),
    expect: list(spiffeId(), 'a list of the SPIFFE IDs that the peer may have')
      .min(1, { error: 'at least one SPIFFE ID' })
      .describe('SPIFFE IDs that the peer may have. Any other peer is refused before a byte of HTTP is sent.'),
    sni: hostName().optional().describe('Server name in the ClientHello; none is sent without it.'),
    allowUids: list(uid(), 'a list of uids')
      .optional()
      .describe('Uids whose processes may connect, beside our own. Without it every local process may.'),
  },
  { error: 'an outbound listener: a map with listen, forwardTo and expect' },
);

const identitySchema = z.strictObject(
  {
    trustDomain: trustDomain().describe('The trust domain of this workload.'),
    trustDomainAliases: list(trustDomain(), 'a list of trust domains')
      .prefault([])
      .describe('Further trust domains that policies take for our own.'),
    files: z
      .strictObject(
        {
          certificate: filePath().describe('PEM: the X.509-SVID, leaf first, then intermediates.'),
          key: filePath().describe('PEM: the private key of the leaf (PKCS#8, SEC1).'),
          bundles: z
            .record(z.string(), filePath(), { error: 'a map from trust domain to bundle file' })
            .describe(
              'Trust bundle (PEM or SPIFFE JWKS) by trust domain. A peer is judged by the bundle of its own trust domain only.',
            ),
          revocationLists: z
            .record(z.string(), filePath(), { error: 'a map from trust domain to file' })
            .prefault({})
            .describe('Certificate revocation lists (PEM) by trust domain. An open connection of a revoked peer ends at once.'),
        },
        { error: 'a map with certificate, key and bundles' },
      )
      .describe('Files that hold the identity. They are watched; a pair that does not fit is refused and the old one stays.'),
  },
  { error: 'a map with trustDomain and files' },
);

const bundleSchema = z.strictObject(
  {
    file: filePath().describe('The bundle, as `postern policy compile` writes it. It is watched.'),
    keys: list(filePath(), 'a list of files')
      .min(1, { error: 'at least one file' })
      .describe('Public keys (PEM, Ed25519) of those who may sign it.'),
    maxAge: duration(0)
      .prefault('0s')
      .describe(
        'Age, counted from when it comes into force, at which a bundle ends although it says later; 0s is no such bound.',
      ),
  },
  { error: 'a map with file and keys' },
);

const policiesSchema = z.strictObject(
  {
    files: list(filePath(), 'a list of files and folders')
      .prefault([])
      .describe('Files and folders (*.yaml, *.yml, *.json) of policies.'),
    bundle: bundleSchema.optional().describe('A signed, compiled bundle in place of files.'),
    lastKnownGood: filePath()
      .optional()
      .describe(
        'Folder that keeps the last good policies over a restart, and the highest revision of a bundle. For this sidecar alone.',
      ),
    allowAll: flag(false).describe('Allow every request. Needs saying, because without any policy source everything is denied.'),
    allowEmpty: flag(false).describe(
      'Take a source without a document for a set without policies, instead of denying everything.',
    ),
    whenNoneSelects: choice(['deny', 'allow'], 'deny').describe(
      'The answer when there are documents but none selects this workload.',
    ),
    rootNamespace: dnsLabel().prefault('istio-system').describe('Policies of this namespace hold for every namespace.'),
  },
  { error: 'a map with files or a bundle' },
);

const tokensSchema = z.strictObject(
  {
    leeway: duration(0)
      .prefault('0s')
      .refine((ms) => ms <= MOST_LEEWAY_MS, { error: 'at most 60s' })
      .describe('By how much the clocks of issuers may differ from ours: a token counts so long after `exp` and before `nbf`.'),
    keyRefresh: duration(1_000).prefault('5m').describe('How often key sets are fetched anew.'),
    keyMaxAge: duration(1_000)
      .prefault('24h')
      .describe('How long the last good key set counts while it cannot be fetched anew; then its tokens are refused.'),
    privateHosts: list(keyHost(), 'a list of host names and addresses')
      .prefault([])
      .describe('Hosts whose key sets may be fetched although they have a private, local or reserved address.'),
    authorities: filePath()
      .optional()
      .describe('PEM: certificate authorities that are believed beside those of the runtime when key sets are fetched.'),
  },
  { error: 'a map with leeway, keyRefresh, keyMaxAge, privateHosts and authorities' },
);

const limitsSchema = z.strictObject(
  {
    headBytes: size(1_024, 65_536).prefault('16KiB').describe('Largest head of a request or response.'),
    fields: count(1, 512).prefault(100).describe('Most fields in one head.'),
    connections: count(1, 1_000_000).prefault(16_384).describe('Most open connections of one listener.'),
    connectionsPerIdentity: count(1, 1_000_000).prefault(12_288).describe('Most open connections of one peer identity.'),
    pendingHandshakes: count(1, 65_536).prefault(1_024).describe('Most TLS handshakes under way.'),
    idleUpstreamConnections: count(0, 65_536).prefault(512).describe('Most idle upstream connections, over all pools.'),
    informationalResponses: count(0, 1_000).prefault(20).describe('Most 1xx responses before the final one.'),
    requestsPerConnection: count(1, 1_000_000_000).prefault(100_000).describe('Requests after which a connection is closed.'),
    grpcMessage: size(0, 2_147_483_647).prefault('0B').describe('Largest gRPC message; 0B is no limit.'),
    http2: http2Schema.prefault({}).describe('Limits of one HTTP/2 session.'),
  },
  { error: 'a map of limits' },
);

const timeoutsSchema = z.strictObject(
  {
    handshake: duration(1).prefault('5s').describe('From accept to the end of the TLS handshake.'),
    head: duration(1).prefault('10s').describe('From the first byte of a head to its last.'),
    bodyIdle: duration(1).prefault('60s').describe('Silence within a request body.'),
    idle: duration(1).prefault('65s').describe('Silence between requests of one connection.'),
    connect: duration(1).prefault('5s').describe('For an upstream connection, its handshake included.'),
    response: duration(1).prefault('15s').describe('From the end of a request to the head of its response.'),
    upstreamIdle: duration(0)
      .prefault('4s')
      .describe(
        'How long an idle upstream connection may be used again; shorter than the keep-alive of the workload (Node: 5 s).',
      ),
    drain: duration(0).prefault('30s').describe('What SIGTERM leaves to exchanges in flight.'),
    connectionAge: duration(0).prefault('0s').describe('Oldest age of an HTTP connection, with jitter; 0s is none.'),
    detect: duration(1).prefault('2s').describe('From the beginning of a connection to bytes that tell its protocol.'),
    tcpIdle: duration(0).prefault('1h').describe('Silence of a raw TCP connection; 0s is no limit.'),
    tunnelIdle: duration(0).prefault('0s').describe('Silence of a WebSocket or an HBONE tunnel; 0s is no limit.'),
    tcpAge: duration(0).prefault('0s').describe('Oldest age of a raw TCP connection, with jitter; 0s is none.'),
    request: duration(0)
      .prefault('0s')
      .describe(
        'From the head of a request to the end of its response, and the most that a grpc-timeout may ask for; 0s is no limit.',
      ),
    keepAlive: duration(1)
      .prefault('30s')
      .describe('Silence of an HTTP/2 connection after which it is asked for a sign of life.'),
  },
  { error: 'a map of durations' },
);

const telemetrySchema = z.strictObject(
  {
    accessLog: z
      .strictObject(
        {
          format: choice(['json'], 'json').describe('One JSON object a line.'),
          file: filePath().prefault('-').describe('File, or `-` for standard output.'),
        },
        { error: 'a map with format and file, or null for no log' },
      )
      .nullable()
      .prefault({})
      .describe('One line for each request and each refused connection; null writes none.'),
    flows: filePath().optional().describe('File of flow records, one JSON object a line; none without it.'),
    status: statusAddress().optional().describe('Address of `/healthz/ready`, `/healthz/live` and `/metrics`.'),
    admin: filePath().optional().describe('Unix socket (mode 0600) of `postern explain` and `postern proxy-status`.'),
  },
  { error: 'a map with accessLog, flows, status and admin' },
);

/** The whole file. */
export const proxySchema = z.strictObject(
  {
    apiVersion: z.literal(API_VERSION, { error: API_VERSION }).describe('Version of this format.'),
    kind: z.literal('Proxy', { error: 'Proxy' }).describe('What the file describes.'),
    metadata: z
      .strictObject(
        {
          name: dnsName().describe('Name of the workload.'),
          namespace: dnsLabel().prefault('default').describe('Namespace of the workload.'),
          labels: z
            .record(z.string(), z.string({ error: 'a text (numbers and booleans need quotes)' }), { error: 'a map of texts' })
            .prefault({})
            .describe('Labels of the workload, which the selectors of policies match.'),
        },
        { error: 'a map with name' },
      )
      .describe('Which workload this is.'),
    spec: z
      .strictObject(
        {
          mode: choice(['standalone'], 'standalone').describe('How the sidecar is driven: by this file alone.'),
          serviceAccount: dnsName().optional().describe('Service account of the workload.'),
          identity: identitySchema.describe('Who this workload is, and whom it believes.'),
          inbound: list(inboundSchema, 'a list of inbound listeners')
            .prefault([])
            .describe('Listeners for calls to the workload.'),
          outbound: list(outboundSchema, 'a list of outbound listeners')
            .prefault([])
            .describe('Listeners for calls of the workload.'),
          hbone: hboneSchema.optional().describe('Tunnels of the mesh: HTTP CONNECT over mutual TLS.'),
          concurrency: count(1, 64).prefault(1).describe('Processes that share the ports.'),
          policies: policiesSchema.prefault({}).describe('What is allowed.'),
          authorizers: list(authorizerSchema, 'a list of authorizers')
            .prefault([])
            .describe('External authorizers that CUSTOM policies ask by name.'),
          tokens: tokensSchema.prefault({}).describe("Users' tokens, where a RequestAuthentication asks for them."),
          trustedForwarders: list(forwarder(), 'a list of SPIFFE IDs and CIDRs')
            .prefault([])
            .describe('Peers whose `x-forwarded-*` fields are believed: SPIFFE IDs and CIDRs.'),
          limits: limitsSchema.prefault({}).describe('Bounds.'),
          timeouts: timeoutsSchema.prefault({}).describe('Deadlines.'),
          telemetry: telemetrySchema.prefault({}).describe('What is told, and where.'),
        },
        { error: 'a map with identity, inbound, outbound and policies' },
      )
      .describe('What the sidecar does.'),
  },
  { error: 'a map with apiVersion, kind, metadata and spec' },
);

export type ProxyDocument = z.output<typeof proxySchema>;
