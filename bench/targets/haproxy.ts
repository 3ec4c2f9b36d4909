/**
 * HAProxy: callers known by the fingerprint of their certificate, looked up once per connection; JSON access log to standard
 * output, which is a file here (HAProxy has no buffered file log: one write per request is its way). No rule engine.
 */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { findProgram } from '../processes.ts';
import type { Launch, Stage, Target } from './target.ts';

export const haproxy: Target = {
  name: 'haproxy',
  about: 'allow map of certificate fingerprints, identity header, request id, JSON access log (12 fields, one write each)',
  missing: () => (findProgram('haproxy') === null ? 'haproxy is not installed' : null),
  version: () =>
    execFileSync(program(), ['-v'], { encoding: 'utf8' })
      .split('\n')[0]
      ?.replace(/ - .*| \d{4}\/.*/, '') ?? '',
  prepare(stage: Stage): Launch {
    const file = `${stage.folder}/haproxy.cfg`;
    writeFileSync(`${stage.folder}/callers.map`, stage.certificates.callers.map(mapLine).join(''));
    writeFileSync(file, configuration(stage));
    const accessLog = `${stage.folder}/access.log`;
    return { command: [program(), '-f', file, '-db'], env: {}, port: stage.port, readyUrl: null, output: accessLog, accessLog };
  },
};

function configuration({ certificates, ...stage }: Stage): string {
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
  return `global
  nbthread 1
  maxconn 9500
  log stdout len 4096 format raw local0
defaults
  mode http
  timeout connect 5s
  timeout client 1h
  timeout server 1h
  timeout http-keep-alive 1h
  option http-keep-alive
  http-reuse always
frontend sidecar
  bind 127.0.0.1:${stage.port} ssl crt ${certificates.serverCombined} ca-file ${certificates.bundle} verify required alpn http/1.1 ssl-min-ver TLSv1.3 no-tls-tickets
  log global
  unique-id-format %[uuid()]
  unique-id-header X-Request-Id
  capture request header Host len 64
  capture request header User-Agent len 128
  log-format "%{+E}o${log.replaceAll('"', '\\"')}"
  http-request set-var(sess.caller) ssl_c_sha1,hex,lower,map_str(${stage.folder}/callers.map) unless { var(sess.caller) -m found }
  http-request deny deny_status 403 unless { var(sess.caller) -m found }
  http-request set-header X-Forwarded-Client-Cert "By=${certificates.server.spiffeId};Hash=%[ssl_c_sha1,hex];Subject=\\"%{+Q}[ssl_c_s_dn]\\";URI=%[var(sess.caller)]"
  http-request set-header X-Forwarded-For %[src]
  http-request del-header X-Request-Id
  default_backend app
backend app
  server app 127.0.0.1:${stage.upstreamPort} pool-max-conn 512
`;
}

function mapLine(one: { readonly fingerprint: string; readonly spiffeId: string }): string {
  return `${one.fingerprint} ${one.spiffeId}\n`;
}

function program(): string {
  return findProgram('haproxy') ?? 'haproxy';
}
