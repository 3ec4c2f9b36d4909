/**
 * The error that an operator can act upon: a bad file, a bad setting, a misuse. What a peer can cause is never thrown; it is a
 * `Failure` (proxy/failure.ts).
 */

/** A fault in what the operator gave us, with a stable code and, where there is one, the way out. */
export class PosternError extends Error {
  /** Stable, in lower case with underscores; the text may change, the code may not. */
  readonly code: string;
  /** What to do about it, or null. */
  readonly hint: string | null;

  constructor(code: string, message: string, hint: string | null = null) {
    super(message);
    this.name = 'PosternError';
    this.code = code;
    this.hint = hint;
  }
}
