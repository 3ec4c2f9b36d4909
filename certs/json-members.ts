/**
 * Finds a member name that stands twice in one object of a JSON text. RFC 8259 leaves such a text's meaning open, `JSON.parse` keeps
 * the last, and bundle documents that have one must be refused (SPIFFE Trust Domain and Bundle, section 4).
 */

/** The first repeated name, or null. `text` must already have passed `JSON.parse`. */
export function repeatedMember(text: string): string | null {
  // One entry for each open bracket: the names of an object, null for an array.
  const open: (Set<string> | null)[] = [];
  let isName = false;
  for (let at = 0; at < text.length; at++) {
    switch (text.charAt(at)) {
      case '{':
        open.push(new Set());
        isName = true;
        break;
      case '[':
        open.push(null);
        isName = false;
        break;
      case '}':
      case ']':
        open.pop();
        isName = false;
        break;
      case ':':
        isName = false;
        break;
      case ',':
        isName = open.at(-1) instanceof Set;
        break;
      case '"': {
        const end = stringEnd(text, at);
        if (isName) {
          const names = open.at(-1);
          // Escapes are resolved first: "k\u0069d" is "kid".
          const name: unknown = JSON.parse(text.slice(at, end));
          if (typeof name === 'string') {
            if (names?.has(name) === true) return name;
            names?.add(name);
          }
        }
        at = end - 1;
        break;
      }
      default:
        break;
    }
  }
  return null;
}

/** The offset after the closing quote of the string that opens at `start`. */
function stringEnd(text: string, start: number): number {
  let at = start + 1;
  while (at < text.length && text[at] !== '"') at += text[at] === '\\' ? 2 : 1;
  return at + 1;
}
