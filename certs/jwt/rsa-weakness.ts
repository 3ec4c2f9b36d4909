/** RSA keys that are no protection although they are long enough. */

/** What is wrong with a modulus and an exponent, given as base64url (RFC 7518, section 6.3.1); null when nothing is known. */
export function rsaWeakness(modulus: string, exponent: string): string | null {
  const n = toInteger(modulus);
  const e = toInteger(exponent);
  if (e < 3n || e % 2n === 0n) return 'an exponent below 3, or an even one';
  return SUBGROUPS.every(([prime, members]) => members.has(Number(n % prime))) ? 'a modulus as ROCA makes them' : null;
}

function toInteger(base64url: string): bigint {
  const hex = Buffer.from(base64url, 'base64url').toString('hex');
  return hex === '' ? 0n : BigInt(`0x${hex}`);
}

/**
 * CVE-2017-15361: modulo small primes such a modulus is always a power of 65537. One of 38 such primes gives a sound modulus away with
 * a chance of 2^-27 or less.
 */
const SUBGROUPS = [
  3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103, 107, 109, 113, 127, 131,
  137, 139, 149, 151, 157, 163, 167,
].map((prime): readonly [bigint, ReadonlySet<number>] => {
  const members = new Set<number>();
  for (let power = 1; !members.has(power); power = (power * 65_537) % prime) members.add(power);
  return [BigInt(prime), members];
});
