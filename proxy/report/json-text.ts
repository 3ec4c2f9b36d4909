/**
 * JSON strings for log lines. One line in is one line out: control characters, DEL, C1 and the line separators of Unicode are
 * escaped, so that nothing a peer sent can end a line or move a terminal's cursor. Hot path.
 */

/** `text` as a JSON string with its quotes, cut to `limit` characters. */
export function jsonText(text: string, limit = 2048): string {
  const cut = text.length > limit ? text.slice(0, limit) : text;
  for (let i = 0; i < cut.length; i++) {
    const code = cut.charCodeAt(i);
    if (
      code < 0x20 ||
      code === 0x22 ||
      code === 0x5c ||
      (code > 0x7e && (code < 0xa0 || code === 0x2028 || code === 0x2029 || (code >= 0xd800 && code <= 0xdfff)))
    ) {
      return escaped(cut);
    }
  }
  return `"${cut}"`;
}

/** As `jsonText`; '' becomes null. */
export function jsonTextOrNull(text: string, limit = 2048): string {
  return text === '' ? 'null' : jsonText(text, limit);
}

function escaped(text: string): string {
  let out = '"';
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    const isPlain = code >= 0x20 && code !== 0x22 && code !== 0x5c && code < 0x7f;
    const isLetter = code >= 0xa0 && code !== 0x2028 && code !== 0x2029 && (code < 0xd800 || code > 0xdfff);
    out += isPlain || isLetter ? text[i] : `\\u${code.toString(16).padStart(4, '0')}`;
  }
  return `${out}"`;
}
