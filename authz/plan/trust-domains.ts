/** How principals written for one trust domain are read in a mesh that has aliases (Istio's rule). */

/**
 * The principal for the own trust domain and each alias, when it has the form TD/ns/NS/sa/SA and its trust domain is one of them
 * or `cluster.local`, which always means the own one. Everything else stays as it is.
 *
 * @param trustDomains  own first, then aliases
 */
export function expandPrincipal(principal: string, trustDomains: readonly string[]): readonly string[] {
  const parts = principal.split('/');
  const [written = '', ...path] = parts;
  if (parts.length !== 5 || written === '*' || written === '') return [principal];
  const isOurs = written === LOCAL || trustDomains.some((domain) => overlaps(written, domain));
  if (!isOurs) return [principal];
  const expanded = new Set<string>();
  for (const domain of trustDomains) {
    const isCovered = written.startsWith('*') && domain.endsWith(written.slice(1));
    expanded.add(isCovered ? principal : [domain, ...path].join('/'));
  }
  return [...expanded];
}

function overlaps(written: string, domain: string): boolean {
  if (written === domain) return true;
  if (written.startsWith('*')) return domain.endsWith(written.slice(1));
  return written.endsWith('*') && domain.startsWith(written.slice(0, -1));
}

const LOCAL = 'cluster.local';
