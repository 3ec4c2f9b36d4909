/** As much of Redis as a client needs that is real: RESP2 over TCP with PING, ECHO, SET, GET, INCR, DEL, and pub/sub. */
import { startTcpApp, type TcpApp, type TcpConnection } from './tcp-app.ts';

export function startRespServer(): Promise<TcpApp> {
  const values = new Map<string, string>();
  const subscribers = new Map<string, Set<TcpConnection>>();
  return startTcpApp((connection) => {
    let waiting = '';
    connection.socket.on('data', (chunk: Buffer) => {
      waiting += chunk.toString('latin1');
      for (let command = takeCommand(waiting); command !== null; command = takeCommand(waiting)) {
        waiting = waiting.slice(command.length);
        connection.write(answer(command.words, connection, values, subscribers));
      }
    });
    connection.socket.on('end', () => connection.socket.end());
    connection.socket.on('close', () => {
      for (const each of subscribers.values()) each.delete(connection);
    });
  });
}

function answer(
  [name = '', key = '', value = '']: readonly string[],
  connection: TcpConnection,
  values: Map<string, string>,
  subscribers: Map<string, Set<TcpConnection>>,
): string {
  switch (name.toUpperCase()) {
    case 'PING':
      return '+PONG\r\n';
    case 'ECHO':
      return bulk(key);
    case 'SET':
      values.set(key, value);
      return '+OK\r\n';
    case 'GET':
      return bulk(values.get(key) ?? null);
    case 'INCR':
      values.set(key, String(Number(values.get(key) ?? 0) + 1));
      return `:${values.get(key)}\r\n`;
    case 'DEL':
      return `:${values.delete(key) ? 1 : 0}\r\n`;
    case 'INFO':
      return bulk('redis_version:7.0.0\r\nloading:0\r\n');
    case 'CLIENT':
    case 'QUIT':
      return '+OK\r\n';
    case 'SUBSCRIBE':
      subscribers.set(key, (subscribers.get(key) ?? new Set()).add(connection));
      return `*3\r\n${bulk('subscribe')}${bulk(key)}:1\r\n`;
    case 'PUBLISH': {
      const listeners = subscribers.get(key) ?? new Set();
      for (const listener of listeners) listener.write(`*3\r\n${bulk('message')}${bulk(key)}${bulk(value)}`);
      return `:${listeners.size}\r\n`;
    }
    default:
      return `-ERR unknown command '${name}'\r\n`;
  }
}

function bulk(text: string | null): string {
  return text === null ? '$-1\r\n' : `$${text.length}\r\n${text}\r\n`;
}

/** The first command, an array of bulk strings, and how many characters it took; null while it is incomplete. */
function takeCommand(text: string): { readonly words: readonly string[]; readonly length: number } | null {
  const head = /^\*(\d+)\r\n/.exec(text);
  if (head === null) return null;
  const words: string[] = [];
  let at = head[0].length;
  for (let count = Number(head[1]); count > 0; count--) {
    const size = /^\$(\d+)\r\n/.exec(text.slice(at, at + 20));
    if (size === null) return null;
    const from = at + size[0].length;
    const end = from + Number(size[1]);
    if (text.length < end + 2) return null;
    words.push(text.slice(from, end));
    at = end + 2;
  }
  return { words, length: at };
}
