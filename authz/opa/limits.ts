/** The bounds of bundles and evaluations. Each has a default that ordinary policies do not come near. */

export interface OpaLimits {
  /** Instructions of one evaluation, at most 2^31 - 1 of a module; a statement of a plan counts as 256. 1,000 million take 50 to 150 ms. */
  readonly fuel: number;
  /** Bytes that one evaluation may use; of a module its whole memory, code's tables and data included. */
  readonly memoryBytes: number;
  /** Longest input document, in bytes of UTF-8. */
  readonly inputBytes: number;
  /** Wall time of one evaluation, its wait for the worker included. */
  readonly deadlineMs: number;
  /** Evaluations that may wait for the worker. */
  readonly queue: number;
}

export const DEFAULT_OPA_LIMITS: OpaLimits = {
  fuel: 1_000_000_000,
  memoryBytes: 64 * 1024 * 1024,
  inputBytes: 1024 * 1024,
  deadlineMs: 250,
  queue: 256,
};

export interface BundleLimits {
  /** Bytes of the archive as it is sent. */
  readonly archiveBytes: number;
  /** Bytes of the archive unpacked. */
  readonly unpackedBytes: number;
  readonly fileBytes: number;
  readonly entries: number;
}

export const DEFAULT_BUNDLE_LIMITS: BundleLimits = {
  archiveBytes: 16 * 1024 * 1024,
  unpackedBytes: 64 * 1024 * 1024,
  fileBytes: 32 * 1024 * 1024,
  entries: 1_000,
};
