/**
 * Before anything is measured: does this entrant do the job? It must refuse a client without a certificate, refuse a stranger,
 * refuse a path that no rule allows (where it has rules), hand the app the caller's identity and address, and drop the caller's
 * own copy of the identity header. Afterwards its access log must hold JSON lines. Whoever fails is not measured.
 */
import { closeSync, fstatSync, openSync, readFileSync, readSync } from 'node:fs';
import { connect } from 'node:http2';
import { request, type RequestOptions } from 'node:https';
import { PosternError } from '#base/error.ts';
import type { Certificates, Holder } from './certificates.ts';
import { ALLOWED_PREFIX, DENIED_PREFIX } from './policy-set.ts';
import type { Job } from './targets/target.ts';
import { ECHO_PATH } from './upstream.ts';

export async function passGate(job: Job, port: number, certificates: Certificates, hasRules: boolean): Promise<void> {
  if (job === 'grpc') return await passGrpcGate(port, certificates, hasRules);
  if (job === 'pair') return await passPairGate(port, certificates);
  if (job === 'tcp') return await passTcpGate(port, certificates);
  const caller = certificates.callers[0] ?? certificates.stranger;
  const got = await ask(port, certificates, caller, ECHO_PATH);
  const [identity = '', forwardedFor = '', requestId = ''] = got.body.split('|');
  expect('the caller is let through', got.status === 200, `status ${got.status}`);
  expect("the app gets the caller's identity", identity.includes(caller.spiffeId), identity);
  expect('a forged identity never arrives', !identity.includes('forged'), identity);
  expect('the app gets x-forwarded-for', forwardedFor !== '', forwardedFor);
  expect('the app gets a request id', requestId !== '', requestId);

  const stranger = await ask(port, certificates, certificates.stranger, ECHO_PATH);
  expect('a stranger is refused', stranger.status === 403 || stranger.status === 0, `status ${stranger.status}`);
  const nobody = await ask(port, certificates, null, ECHO_PATH);
  expect(
    'a client without a certificate gets no answer from the app',
    nobody.status === 0 || nobody.status === 400,
    `status ${nobody.status}`,
  );
  if (!hasRules) return;
  const denied = await ask(port, certificates, caller, `${DENIED_PREFIX}00001`);
  expect('a path that no rule allows is refused', denied.status === 403, `status ${denied.status}`);
}

/** The same in the words of gRPC: what the app answers arrives with its trailers, a denial is no answer of the app. */
async function passGrpcGate(port: number, certificates: Certificates, hasRules: boolean): Promise<void> {
  const caller = certificates.callers[0] ?? certificates.stranger;
  const got = await call(port, certificates, caller, `${ALLOWED_PREFIX}00001`);
  expect('a call is answered with its status', got === '200/0', got);
  const stranger = await call(port, certificates, certificates.stranger, `${ALLOWED_PREFIX}00001`);
  expect('a stranger is refused', stranger !== '200/0', stranger);
  if (!hasRules) return;
  const denied = await call(port, certificates, caller, `${DENIED_PREFIX}00001`);
  expect('a call that no rule allows is refused', denied === '200/7' || denied.startsWith('403'), denied);
}

/** The first of a pair lends its identity to the local app; the second tells it to the app behind. */
async function passPairGate(port: number, certificates: Certificates): Promise<void> {
  const response = await fetch(`http://127.0.0.1:${port}${ECHO_PATH}`, {
    headers: { 'x-forwarded-client-cert': 'URI=spiffe://forged' },
  });
  const [identity = '', forwardedFor = ''] = (await response.text()).split('|');
  expect('the call is let through', response.status === 200, `status ${response.status}`);
  expect("the app gets the first proxy's identity", identity.includes(certificates.callers[0]?.spiffeId ?? '-'), identity);
  expect('a forged identity never arrives', !identity.includes('forged'), identity);
  expect('the app gets x-forwarded-for', forwardedFor !== '', forwardedFor);
}

/** Bytes pass for those who have a certificate; nothing of them is read. */
async function passTcpGate(port: number, certificates: Certificates): Promise<void> {
  const got = await ask(port, certificates, certificates.callers[0] ?? certificates.stranger, ECHO_PATH);
  expect('the caller is let through', got.status === 200, `status ${got.status}`);
  expect('nothing is put into the stream', got.body.startsWith('URI=spiffe://forged|'), got.body);
  const nobody = await ask(port, certificates, null, ECHO_PATH);
  expect('a client without a certificate gets no answer', nobody.status === 0, `status ${nobody.status}`);
}

/** Status and grpc-status of a call, `200/0`; `0/` when the connection was refused or broken. */
async function call(port: number, certificates: Certificates, holder: Holder, path: string): Promise<string> {
  const session = connect(`https://localhost:${port}`, {
    ca: readFileSync(certificates.bundle),
    cert: readFileSync(holder.certificate),
    key: readFileSync(holder.key),
    checkServerIdentity: () => undefined,
  });
  const { promise, resolve } = Promise.withResolvers<string>();
  session.on('error', () => resolve('0/'));
  const stream = session.request({ ':method': 'POST', ':path': path, 'content-type': 'application/grpc', te: 'trailers' });
  let status = 0;
  let grpcStatus = '';
  stream.on('response', (head) => {
    status = head[':status'] ?? 0;
    grpcStatus = String(head['grpc-status'] ?? '');
  });
  stream.on('trailers', (trailers) => (grpcStatus = String(trailers['grpc-status'] ?? '')));
  stream.on('error', () => resolve('0/'));
  stream.on('close', () => resolve(`${status}/${grpcStatus}`));
  stream.setTimeout(5000, () => stream.close());
  stream.resume();
  stream.end(Buffer.from([0, 0, 0, 0, 0]));
  const found = await promise;
  session.destroy();
  return found;
}

/**
 * @throws when the log's end holds no JSON object that names a caller. The end, because HAProxy does not append: once its log has
 *         been truncated it begins with a hole.
 */
export function checkAccessLog(file: string): void {
  const bytes = Buffer.alloc(16_384);
  const descriptor = openSync(file, 'r');
  const length = readSync(descriptor, bytes, 0, bytes.length, Math.max(0, fstatSync(descriptor).size - bytes.length));
  closeSync(descriptor);
  const lines = bytes.toString('utf8', 0, length).split('\n').slice(0, -1);
  expect('the access log holds JSON with the caller', lines.some(namesCaller), lines.at(-1) ?? 'nothing');
}

function namesCaller(line: string): boolean {
  try {
    JSON.parse(line);
    return line.includes('spiffe://');
  } catch {
    return false;
  }
}

/** Status 0: the connection was refused or broken. */
function ask(
  port: number,
  certificates: Certificates,
  holder: Holder | null,
  path: string,
): Promise<{ status: number; body: string }> {
  const options: RequestOptions = {
    host: '127.0.0.1',
    port,
    path,
    agent: false,
    timeout: 5000,
    ca: readFileSync(certificates.bundle),
    checkServerIdentity: () => undefined,
    headers: { host: 'orders.bench.test', 'x-forwarded-client-cert': 'URI=spiffe://forged' },
    ...(holder === null ? {} : { cert: readFileSync(holder.certificate), key: readFileSync(holder.key) }),
  };
  return new Promise((resolve) => {
    const call = request(options, (response) => {
      let body = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => (body += chunk));
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body }));
      response.on('error', () => resolve({ status: 0, body: '' }));
    });
    call.on('error', () => resolve({ status: 0, body: '' }));
    call.on('timeout', () => call.destroy());
    call.end();
  });
}

function expect(what: string, holds: boolean, found: string): void {
  if (!holds) throw new PosternError('bench_gate', `Cannot measure: expected that ${what}, found "${found.slice(0, 300)}"`);
}
