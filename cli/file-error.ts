/** Errors of the file system, said in the words of a fault. */

/** What was found in place of a readable file: `nothing there`, `EACCES`. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return 'an unknown error';
  if (!('code' in error) || typeof error.code !== 'string') return error.message;
  return error.code === 'ENOENT' ? 'nothing there' : error.code;
}
