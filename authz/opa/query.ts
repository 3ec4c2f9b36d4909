/** Queries of URLs as Go reads them, for builtins and for the input document of opa-envoy-plugin. */

/** A query as Go's url.ParseQuery reads it: in order of first appearance; null for what it refuses. */
export function parseQuery(query: string): ReadonlyMap<string, string[]> | null {
  const found = new Map<string, string[]>();
  for (const part of query.split('&')) {
    if (part === '') continue;
    if (part.includes(';')) return null;
    const equals = part.indexOf('=');
    const name = decodeQuery(equals < 0 ? part : part.slice(0, equals));
    const value = equals < 0 ? '' : decodeQuery(part.slice(equals + 1));
    if (name === undefined || value === undefined) return null;
    const values = found.get(name);
    if (values === undefined) found.set(name, [value]);
    else values.push(value);
  }
  return found;
}

export function decodeQuery(text: string): string | undefined {
  if (/%(?![0-9a-fA-F]{2})/u.test(text)) return undefined;
  const bytes = Buffer.from(text.replaceAll('+', ' '), 'utf8');
  if (!bytes.includes(0x25)) return bytes.toString('utf8');
  const out = Buffer.alloc(bytes.length);
  let length = 0;
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at] ?? 0;
    out[length++] = byte === 0x25 ? Number.parseInt(bytes.toString('latin1', at + 1, at + 3), 16) : byte;
    if (byte === 0x25) at += 2;
  }
  return out.toString('utf8', 0, length);
}
