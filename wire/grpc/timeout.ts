/** `grpc-timeout` (gRPC over HTTP/2, "Requests"): one to eight digits and a unit. */

/** Milliseconds that a `grpc-timeout` in `bytes` says, rounded up; -1 when it is none. */
export function parseGrpcTimeout(bytes: Uint8Array, start: number, end: number): number {
  const digits = end - start - 1;
  if (digits < 1 || digits > MAX_DIGITS) return -1;
  let value = 0;
  for (let index = start; index < end - 1; index++) {
    const digit = (bytes[index] ?? 0) - 48;
    if (digit < 0 || digit > 9) return -1;
    value = value * 10 + digit;
  }
  switch (bytes[end - 1]) {
    case 72: // H
      return value * 3_600_000;
    case 77: // M
      return value * 60_000;
    case 83: // S
      return value * 1_000;
    case 109: // m
      return value;
    case 117: // u
      return Math.ceil(value / 1_000);
    case 110: // n
      return Math.ceil(value / 1_000_000);
    default:
      return -1;
  }
}

/** A `grpc-timeout` of so many milliseconds, at least one; more than eight digits hold is said in seconds. */
export function grpcTimeoutText(ms: number): string {
  const whole = Math.max(1, Math.floor(ms));
  return whole <= MAX_VALUE ? `${whole}m` : `${Math.min(MAX_VALUE, Math.floor(whole / 1_000))}S`;
}

const MAX_DIGITS = 8;
const MAX_VALUE = 99_999_999;
