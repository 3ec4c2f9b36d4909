/** One plain HTTP call to an app, on a connection of its own, as curl makes it. */
import { request } from 'node:http';
import type { IncomingHttpHeaders } from 'node:http';

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  /** What `x-postern-decision-id` says, '' without it. */
  readonly decisionId: string;
}

/** Rejects when there is no answer. */
export function call(port: number, method: string, path: string, headers: Record<string, string> = {}): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const sent = request({ host: '127.0.0.1', port, method, path, headers, agent: false, timeout: WAIT_MS }, (response) => {
    let body = '';
    response.setEncoding('utf8');
    response.on('data', (text: string) => (body += text));
    response.on('error', reject);
    response.on('end', () => {
      const id = response.headers['x-postern-decision-id'];
      resolve({
        status: response.statusCode ?? 0,
        headers: response.headers,
        body,
        decisionId: typeof id === 'string' ? id : '',
      });
    });
  });
  sent.on('timeout', () => sent.destroy(new Error(`no answer within ${WAIT_MS} ms`)));
  sent.on('error', reject);
  sent.end();
  return promise;
}

const WAIT_MS = 5_000;
