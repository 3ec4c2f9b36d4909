/**
 * HAProxy: callers known by the fingerprint of their certificate, looked up once per connection; JSON access log to standard
 * output, which is a file here (HAProxy has no buffered file log: one write per request is its way). No rule engine.
 */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { findProgram } from '../processes.ts';
import { asPair, type Launch, type Stage, type Target } from './target.ts';

export const haproxy: Target = {
  name: 'haproxy',
  about: 'allow map of certificate fingerprints, identity header, request id, JSON access log (12 fields, one write each)',
  jobs: ['http1', 'http2', 'grpc', 'tcp', 'pair'],
  missing: () => (findProgram('haproxy') === null ? 'haproxy is not installed' : null),
  version: () =>
    execFileSync(program(), ['-v'], { encoding: 'utf8' })
      .split('\n')[0]
      ?.replace(/ - .*| \d{4}\/.*/, '') ?? '',
  prepare(stage: Stage): Launch {
    const file = `${stage.folder}/haproxy.cfg`;
    writeFileSync(`${stage.folder}/callers.map`, stage.certificates.callers.map(mapLine).join(''));
    const isPair = stage.job === 'pair';
    writeFileSync(
      file,
      stage.job === 'tcp' ? tcpConfiguration(stage) : configuration(stage, isPair ? stage.peerPort : stage.port),
    );
    const accessLog = `${stage.folder}/access.log`;
    const command = [program(), '-f', file, '-db'];
    if (!isPair) return { command, env: {}, port: stage.port, readyUrls: [], output: accessLog, accessLog };
    const first = `${stage.folder}/first.cfg`;
    writeFileSync(first, firstConfiguration(stage));
    const pair = asPair([program(), '-f', first, '-db'], command);
    return { command: pair, env: {}, port: stage.port, readyUrls: [], output: accessLog, accessLog };
  },
};

function configuration({ certificates, ...stage }: Stage, port: number): string {
  const alpn = stage.job === 'http1' ? 'http/1.1' : 'h2,http/1.1';
  return `${HEAD}frontend sidecar
  bind 127.0.0.1:${port} ssl crt ${certificates.serverCombined} ca-file ${certificates.bundle} verify required alpn ${alpn} ssl-min-ver TLSv1.3 no-tls-tickets
${logLines()}  http-request set-var(sess.caller) ssl_c_sha1,hex,lower,map_str(${stage.folder}/callers.map) unless { var(sess.caller) -m found }
  http-request deny deny_status 403 unless { var(sess.caller) -m found }
  http-request set-header X-Forwarded-Client-Cert "By=${certificates.server.spiffeId};Hash=%[ssl_c_sha1,hex];Subject=\\"%{+Q}[ssl_c_s_dn]\\";URI=%[var(sess.caller)]"
  http-request set-header X-Forwarded-For %[src]
  http-request del-header X-Request-Id
  default_backend app
backend app
  server app 127.0.0.1:${stage.upstreamPort} pool-max-conn 512${stage.job === 'grpc' ? ' proto h2' : ''}
`;
}

/** The first of a pair: it knows its peer by name, for it can't read a URI SAN. */
function firstConfiguration({ certificates, ...stage }: Stage): string {
  return `${HEAD}frontend local
  bind 127.0.0.1:${stage.port}
${logLines()}  default_backend peer
backend peer
  server peer 127.0.0.1:${stage.peerPort} ssl verify required ca-file ${certificates.bundle} crt ${certificates.callerCombined} alpn h2 ssl-min-ver TLSv1.3 pool-max-conn 512
`;
}

function tcpConfiguration({ certificates, ...stage }: Stage): string {
  return `${HEAD.replace('mode http', 'mode tcp').replaceAll(/.*option http-.*\n|.*http-reuse.*\n/g, '')}frontend sidecar
  bind 127.0.0.1:${stage.port} ssl crt ${certificates.serverCombined} ca-file ${certificates.bundle} verify required ssl-min-ver TLSv1.3 no-tls-tickets
  log global
  log-format "{\\"peer\\":\\"spiffe://? %[ssl_c_s_dn]\\",\\"bytes_sent\\":%B,\\"duration\\":%Tt}"
  default_backend app
backend app
  server app 127.0.0.1:${stage.upstreamPort}
`;
}

/** One JSON object for each request. */
function logLines(): string {
  const log = JSON.stringify({
    start_time: '%tr',
    method: '%HM',
    path: '%HU',
    authority: '%[capture.req.hdr(0)]',
    protocol: '%HV',
    response_code: '%ST',
    bytes_sent: '%B',
    duration: '%Ta',
    peer: '%[var(sess.caller)]',
    user_agent: '%[capture.req.hdr(1)]',
    upstream_host: '%si:%sp',
    request_id: '%ID',
  });
  return `  log global
  unique-id-format %[uuid()]
  unique-id-header X-Request-Id
  capture request header Host len 64
  capture request header User-Agent len 128
  log-format "%{+E}o${log.replaceAll('"', '\\"')}"
`;
}

function mapLine(one: { readonly fingerprint: string; readonly spiffeId: string }): string {
  return `${one.fingerprint} ${one.spiffeId}\n`;
}

function program(): string {
  return findProgram('haproxy') ?? 'haproxy';
}

const HEAD = `global
  nbthread 1
  maxconn 9500
  tune.h2.max-concurrent-streams 1000
  log stdout len 4096 format raw local0
defaults
  mode http
  timeout connect 5s
  timeout client 1h
  timeout server 1h
  timeout http-keep-alive 1h
  option http-keep-alive
  http-reuse always
`;
