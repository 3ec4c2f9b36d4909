/**
 * nginx: callers known by the fingerprint of their certificate (it has no variable for a URI SAN), buffered JSON access log.
 * No rule engine: the allow-list is all that it decides.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { findProgram } from '../processes.ts';
import type { Launch, Stage, Target } from './target.ts';

/** Where Debian puts it. */
const STREAM_MODULE = '/usr/lib/nginx/modules/ngx_stream_module.so';

export const nginx: Target = {
  name: 'nginx',
  about: 'allow map of certificate fingerprints, identity header, request id, JSON access log (12 fields, buffered)',
  // It cannot speak HTTP/2 to what is behind it.
  jobs: existsSync(STREAM_MODULE) ? ['http1', 'http2', 'tcp'] : ['http1', 'http2'],
  missing: () => (findProgram('nginx') === null ? 'nginx is not installed' : null),
  version: () => execFileSync('sh', ['-c', '"$1" -v 2>&1', 'sh', program()], { encoding: 'utf8' }).trim().replace(/.*: /, ''),
  prepare(stage: Stage): Launch {
    const accessLog = `${stage.folder}/access.log`;
    const file = `${stage.folder}/nginx.conf`;
    writeFileSync(file, stage.job === 'tcp' ? streamConfiguration(stage, accessLog) : proxyConfiguration(stage, accessLog));
    const output = `${stage.folder}/output.log`;
    return { command: [program(), '-c', file], env: {}, port: stage.port, readyUrls: [], output, accessLog };
  },
};

/** The lines that every nginx of a run shares, proxy and app. */
export function nginxHead(folder: string, tag: string): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (one) => `${one}_temp_path ${folder}/${tag}_${one};`,
  );
  return `${processHead(folder, tag)}
http {
  keepalive_requests 1000000000; keepalive_timeout 3600s; tcp_nodelay on; ${temporary.join(' ')}
`;
}

function processHead(folder: string, tag: string): string {
  const user = process.getuid?.() === 0 ? 'user root;' : '';
  return `daemon off; worker_processes 1; pid ${folder}/${tag}.pid; error_log ${folder}/${tag}.error.log warn;
worker_rlimit_nofile 20000; ${user}
events { worker_connections 10000; }`;
}

/** The callers are those that the bundle vouches for: the stream module has no answer to refuse with but the connection's end. */
function streamConfiguration({ certificates, ...stage }: Stage, accessLog: string): string {
  return `load_module ${STREAM_MODULE};
${processHead(stage.folder, 'proxy')}
stream {
  log_format json escape=json '{"start_time":"$time_iso8601","bytes_sent":$bytes_sent,"bytes_received":$bytes_received,'
    '"duration":$session_time,"peer":"spiffe://? $ssl_client_s_dn","upstream_host":"$upstream_addr"}';
  access_log ${accessLog} json buffer=64k flush=1s;
  server {
    listen 127.0.0.1:${stage.port} ssl backlog=4096; proxy_buffer_size 64k; tcp_nodelay on;
    ssl_certificate ${certificates.server.certificate}; ssl_certificate_key ${certificates.server.key};
    ssl_client_certificate ${certificates.bundle}; ssl_verify_client on; ssl_verify_depth 3;
    ssl_protocols TLSv1.3; ssl_session_cache off; ssl_session_tickets off;
    proxy_pass 127.0.0.1:${stage.upstreamPort};
  }
}
`;
}

function proxyConfiguration({ certificates, ...stage }: Stage, accessLog: string): string {
  const callers = certificates.callers.map((one) => `    ${one.fingerprint} ${one.spiffeId};`).join('\n');
  return `${nginxHead(stage.folder, 'proxy')}
  map_hash_bucket_size 128;
  map $ssl_client_fingerprint $caller {
    default "";
${callers}
  }
  log_format json escape=json '{"start_time":"$time_iso8601","method":"$request_method","path":"$request_uri","authority":"$host",'
    '"protocol":"$server_protocol","response_code":$status,"bytes_sent":$bytes_sent,"duration":$request_time,'
    '"peer":"$caller","user_agent":"$http_user_agent","upstream_host":"$upstream_addr","request_id":"$request_id"}';
  access_log ${accessLog} json buffer=64k flush=1s;
  upstream app { server 127.0.0.1:${stage.upstreamPort}; keepalive 512; keepalive_requests 1000000000; keepalive_timeout 3600s; }
  server {
    listen 127.0.0.1:${stage.port} ssl${stage.job === 'http2' ? ' http2' : ''} backlog=4096;
    ssl_certificate ${certificates.server.certificate}; ssl_certificate_key ${certificates.server.key};
    ssl_client_certificate ${certificates.bundle}; ssl_verify_client on; ssl_verify_depth 3;
    ssl_protocols TLSv1.3; ssl_session_cache off; ssl_session_tickets off;
    location / {
      if ($caller = "") { return 403; }
      proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $host;
      proxy_set_header X-Forwarded-Client-Cert
        "By=${certificates.server.spiffeId};Hash=$ssl_client_fingerprint;Subject=\\"$ssl_client_s_dn\\";URI=$caller";
      proxy_set_header X-Forwarded-For $remote_addr; proxy_set_header X-Request-Id $request_id;
      proxy_pass http://app;
    }
  }
}
`;
}

function program(): string {
  return findProgram('nginx') ?? 'nginx';
}
