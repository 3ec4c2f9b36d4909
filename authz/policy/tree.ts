/**
 * The namespace tree: paths such as `/acme/prod/shop`, and where a Kubernetes namespace lies in it. Policies hang on nodes and flow
 * down (workload-policies.ts says how they are judged, flow.ts how they are gathered).
 */

/** Where namespaces lie. One that no entry names lies at `/NAME`. */
export interface NamespaceTree {
  readonly name: string;
  /** Paths by name of the namespace. */
  readonly paths: Readonly<Record<string, string>>;
}

/** `/`, or segments of lower-case letters, digits, `-` and `.`. */
export function isTreePath(path: string): boolean {
  if (path === '/') return true;
  return path.length <= MAX_PATH && /^(?:\/[a-z0-9](?:[-a-z0-9.]{0,61}[a-z0-9])?){1,16}$/.test(path);
}

export function pathOf(trees: readonly NamespaceTree[], namespace: string): string {
  for (const { paths } of trees) {
    const path = Object.hasOwn(paths, namespace) ? paths[namespace] : undefined;
    if (path !== undefined) return path;
  }
  return `/${namespace}`;
}

/** `/`, `/acme`, `/acme/prod` of `/acme/prod`. */
export function ancestryOf(path: string): readonly string[] {
  if (path === '/') return ['/'];
  const segments = path.slice(1).split('/');
  return ['/', ...segments.map((_, index) => `/${segments.slice(0, index + 1).join('/')}`)];
}

const MAX_PATH = 512;
