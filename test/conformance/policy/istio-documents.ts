/** Documents of Istio's kinds that both istioctl and this reader judge, and what is known to be judged in two ways. */
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

import { REFUSED } from './reader.cases.ts';

export interface IstioDocument {
  readonly name: string;
  readonly text: string;
}

/** Istio's own vectors of validation, what its builder of policies is fed with, and what this reader must refuse. */
export function istioDocuments(vectors: string): readonly IstioDocument[] {
  const validation = ['authz', 'peerauth', 'reqauth'].flatMap((kind) =>
    ['valid', 'invalid'].flatMap((verdict) => {
      const file = `${kind}-${verdict}.yaml`;
      const texts = readFileSync(join(vectors, 'istio-validation', file), 'utf8').split(/^---$/m);
      return texts
        .filter((text) => /^kind:/m.test(text))
        .map((text, index) => ({ name: `${file} ${index + 1}`, text: text.replace(/^_err:.*$/m, '') }));
    }),
  );
  const builder = ['http', 'tcp'].flatMap((protocol) => {
    const folder = join(vectors, 'istio-authz-builder', protocol);
    const names = readdirSync(folder).filter((name) => name.endsWith('-in.yaml'));
    return names.toSorted().map((name) => ({ name: `${protocol}/${name}`, text: readFileSync(join(folder, name), 'utf8') }));
  });
  const refused = REFUSED.filter(({ text }) => text.includes('kind: AuthorizationPolicy\n') && text.split('---\n').length === 1);
  return [...validation, ...builder, ...refused.map(({ text, why }) => ({ name: `refused: ${why}`, text }))];
}

/** Why istioctl and this reader say differently of a document, and of which. */
export const DEVIATIONS: readonly { readonly why: string; readonly documents: readonly string[] }[] = [
  {
    why: 'The vectors are of a newer Istio: the field is unknown to istioctl, or its emptiness is not looked at',
    documents: ['reqauth-valid.yaml 1', 'reqauth-invalid.yaml 19'],
  },
  {
    why: 'istioctl leaves names and versions to the API server, which no file passes on its way to a sidecar',
    documents: ['refused: no name', 'refused: a malformed name', 'refused: an unknown version'],
  },
  {
    why: 'No request has such a value: Istio accepts a rule that never matches, which of a DENY lets everything through',
    documents: [
      'refused: a principal with its scheme',
      'refused: a pseudo header that nobody sees',
      'refused: a header of blanks',
      'refused: a template without a slash',
    ],
  },
  { why: 'Istio takes an empty list of sources for every source', documents: ['refused: an empty from'] },
  { why: 'The annotation is our own', documents: ['refused: names that do not fit the rules'] },
];
