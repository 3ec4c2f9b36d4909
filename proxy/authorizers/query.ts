/** Queries changed by an answer, parameter by parameter as Envoy does it: the first of a name is overwritten, further ones go. */
import type { FieldPair } from './authorizer.ts';

/** The target with its query changed, or null when a name or value is too long or empty of a name. */
export function changedQuery(target: string, set: readonly FieldPair[], remove: readonly string[]): string | null {
  if (set.some(([name]) => name === '') || set.length + remove.length > MOST) return null;
  const mark = target.indexOf('?');
  const path = mark < 0 ? target : target.slice(0, mark);
  let parts =
    mark < 0
      ? []
      : target
          .slice(mark + 1)
          .split('&')
          .filter((part) => part !== '');
  for (const [name, value] of set) {
    const wanted = encoded(name);
    const written = `${wanted}=${encoded(value)}`;
    const at = parts.findIndex((part) => nameOf(part) === wanted);
    parts = parts.filter((part, index) => index === at || nameOf(part) !== wanted);
    if (at < 0) parts.push(written);
    else parts[at] = written;
  }
  for (const name of remove) parts = parts.filter((part) => nameOf(part) !== encoded(name));
  const query = parts.join('&');
  if (query.length > LONGEST) return null;
  return query === '' ? path : `${path}?${query}`;
}

function nameOf(part: string): string {
  const equals = part.indexOf('=');
  return equals < 0 ? part : part.slice(0, equals);
}

/** Texts that can stand in a query stand as they are; of others every byte that cannot is escaped. */
function encoded(text: string): string {
  return text.replace(/[^!$'()*,\-./0-9:;?@A-Z_a-z~%]/gu, (character) =>
    [...Buffer.from(character, 'latin1')].map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join(''),
  );
}

const MOST = 64;
const LONGEST = 8_192;
