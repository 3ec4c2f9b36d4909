/** What a bundle says of itself. INVARIANT: one manifest has one text, so that a changed text is another manifest or none. */

export interface BundleManifest {
  /** Grows with each bundle of a workload, from 1. */
  readonly revision: number;
  /** `sha256:…` over everything that decides; that of the compiled policy. */
  readonly policyRevision: string;
  /** `sha256:…` over policy, module and model. */
  readonly digest: string;
  /** Milliseconds since 1970: in force from `notBefore` on, and no more at `expires`. */
  readonly notBefore: number;
  readonly expires: number;
  readonly workload: BundleWorkload;
}

/** Whom it was compiled for: nobody else may load it. */
export interface BundleWorkload {
  readonly namespace: string;
  readonly serviceAccount: string | null;
  readonly labels: Readonly<Record<string, string>>;
  /** Own trust domain first, then its aliases. */
  readonly trustDomains: readonly string[];
}

export function manifestText({ digest, expires, notBefore, policyRevision, revision, workload }: BundleManifest): string {
  return JSON.stringify({ revision, policyRevision, digest, notBefore, expires, workload: ordered(workload) });
}

/** Null for anything that `manifestText` does not write. */
export function parseManifest(text: string): BundleManifest | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  return isManifest(value) && manifestText(value) === text ? value : null;
}

/** As one text, to be compared. */
export function workloadText(workload: BundleWorkload): string {
  return JSON.stringify(ordered(workload));
}

function ordered({ labels, namespace, serviceAccount, trustDomains }: BundleWorkload): object {
  const sorted = Object.entries(labels).toSorted(([left], [right]) => (left < right ? -1 : 1));
  return { namespace, serviceAccount, labels: Object.fromEntries(sorted), trustDomains };
}

function isManifest(value: unknown): value is BundleManifest {
  if (!isObject(value)) return false;
  const { digest, expires, notBefore, policyRevision, revision, workload } = value;
  return (
    isCount(revision) &&
    revision > 0 &&
    isDigest(policyRevision) &&
    isDigest(digest) &&
    isCount(notBefore) &&
    isCount(expires) &&
    notBefore < expires &&
    isWorkload(workload)
  );
}

function isWorkload(value: unknown): value is BundleWorkload {
  if (!isObject(value)) return false;
  const { labels, namespace, serviceAccount, trustDomains } = value;
  return (
    typeof namespace === 'string' &&
    (serviceAccount === null || typeof serviceAccount === 'string') &&
    isObject(labels) &&
    Object.values(labels).every((label) => typeof label === 'string') &&
    Array.isArray(trustDomains) &&
    trustDomains.every((name) => typeof name === 'string')
  );
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

function isDigest(value: unknown): value is string {
  return typeof value === 'string' && /^sha256:[0-9a-f]{64}$/.test(value);
}
