/** RFC 3339 times in UTC for log lines; the second is formatted once, the milliseconds each time. Hot path. */

/** `2026-01-02T03:04:05.678Z`. */
export function timestamp(ms: number): string {
  const second = Math.floor(ms / 1000);
  if (second !== lastSecond) {
    lastSecond = second;
    prefix = new Date(second * 1000).toISOString().slice(0, 20);
  }
  const rest = Math.floor(ms - second * 1000);
  return `${prefix}${rest < 10 ? '00' : rest < 100 ? '0' : ''}${rest}Z`;
}

let lastSecond = -1;
let prefix = '';
