/** Text without certain characters at its ends, in time linear in its length: an expression such as `x+$` is quadratic in runs. */

export function trimStart(text: string, isCut: (sign: string) => boolean): string {
  let start = 0;
  while (start < text.length && isCut(text.charAt(start))) start++;
  return text.slice(start);
}

export function trimEnd(text: string, isCut: (sign: string) => boolean): string {
  let end = text.length;
  while (end > 0 && isCut(text.charAt(end - 1))) end--;
  return text.slice(0, end);
}

export function trimBoth(text: string, isCut: (sign: string) => boolean): string {
  return trimEnd(trimStart(text, isCut), isCut);
}
