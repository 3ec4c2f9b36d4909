/** The version of this package, read from the package.json beside it; the bundle in dist/ has the same one above it. */
import { readFileSync } from 'node:fs';

export function packageVersion(): string {
  const content = packageContent();
  const isPackage = typeof content === 'object' && content !== null && 'version' in content;
  return isPackage && typeof content.version === 'string' ? content.version : 'of unknown version';
}

/** Null in an image that leaves it out: no command may fail for want of its version. */
function packageContent(): unknown {
  try {
    return JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as unknown;
  } catch {
    return null;
  }
}
