/**
 * A distinguished name as text (RFC 4514, section 2), for logs and forwarded fields. Never compared: names are compared as DER.
 */
import { DerCursor, TAG } from './der.ts';

/** Text of a Name in DER, most specific part first as the RFC demands; '' for the empty name. */
export function nameText(name: Buffer): string {
  const rdns = DerCursor.over(name).enter(TAG.sequence);
  const parts: string[] = [];
  while (!rdns.isAtEnd) {
    const attributes = rdns.enter(TAG.set);
    const pairs: string[] = [];
    while (!attributes.isAtEnd) {
      const attribute = attributes.enter(TAG.sequence);
      const oid = attribute.readOid();
      const tag = attribute.readAny();
      pairs.push(`${SHORT_NAMES[oid] ?? oid}=${valueText(tag, attribute.lastContents)}`);
    }
    parts.unshift(pairs.join('+'));
  }
  return parts.join(',');
}

function valueText(tag: number, contents: Buffer): string {
  if (tag !== TAG.utf8String && tag !== TAG.printableString && tag !== TAG.ia5String) return `#${contents.toString('hex')}`;
  let text = '';
  const value = contents.toString('utf8');
  for (let index = 0; index < value.length; index++) {
    const char = value.charAt(index);
    const code = value.charCodeAt(index);
    const isEdgeBlank = char === ' ' && (index === 0 || index === value.length - 1);
    if (code < 0x20 || code === 0x7f) text += `\\${code.toString(16).padStart(2, '0')}`;
    else if (SPECIALS.includes(char) || isEdgeBlank || (char === '#' && index === 0)) text += `\\${char}`;
    else text += char;
  }
  return text;
}

const SPECIALS = '",+;<>\\=';
const SHORT_NAMES: Readonly<Record<string, string>> = {
  '2.5.4.3': 'CN',
  '2.5.4.6': 'C',
  '2.5.4.7': 'L',
  '2.5.4.8': 'ST',
  '2.5.4.9': 'STREET',
  '2.5.4.10': 'O',
  '2.5.4.11': 'OU',
  '0.9.2342.19200300.100.1.25': 'DC',
  '0.9.2342.19200300.100.1.1': 'UID',
};
