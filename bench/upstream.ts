/** The app behind every proxy: an nginx that answers 1 KiB to any path, without a log, and tells its caller what it was handed. */
import { writeFileSync } from 'node:fs';
import { PosternError } from '#base/error.ts';
import { findProgram, type Running, startProcess } from './processes.ts';
import { ALLOWED_PREFIX } from './policy-set.ts';
import { nginxHead } from './targets/nginx.ts';

/** Starts the gRPC app, a program of ours (bench/load/grpc-app.c): no nginx answers with trailers. */
export async function startGrpcApp(program: string, folder: string, port: number, core: number | null): Promise<Running> {
  const output = `${folder}/grpc-app.output.log`;
  return await startProcess({ command: [program, String(port)], env: {}, port, readyUrls: [], output }, core);
}

export async function startUpstream(folder: string, port: number, core: number | null): Promise<Running> {
  const program = findProgram('nginx');
  if (program === null)
    throw new PosternError(
      'bench_no_upstream',
      'Cannot start "nginx": it is not installed, and the app of this benchmark is an nginx',
    );
  const file = `${folder}/upstream.conf`;
  for (const [name, bytes] of Object.entries(BODIES)) writeFileSync(`${folder}/${name}`, Buffer.alloc(bytes, 'x'));
  writeFileSync(
    file,
    `${nginxHead(folder, 'upstream')}  access_log off; sendfile on; open_file_cache max=100;
  server {
    listen 127.0.0.1:${port} backlog=4096;
    default_type text/plain;
    location / { return 200 "${'x'.repeat(1024)}"; }
    ${Object.keys(BODIES)
      .map((name) => `location ${ALLOWED_PREFIX}${name}/ { root ${folder}; rewrite ^ /${name} break; }`)
      .join('\n    ')}
    location = ${ECHO_PATH} { return 200 "$http_x_forwarded_client_cert|$http_x_forwarded_for|$http_x_request_id"; }
  }
}
`,
  );
  const output = `${folder}/upstream.output.log`;
  return await startProcess({ command: [program, '-c', file], env: {}, port, readyUrls: [], output }, core);
}

/** Large answers, by the word in their paths; bytes. */
const BODIES = { '100k': 102_400, '10m': 10_485_760 };

/** Answers the identity header, the forwarded address and the request id that arrived. */
export const ECHO_PATH = '/orders/whoami';
