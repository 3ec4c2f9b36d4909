/**
 * The identities of a run, made for it and thrown away: one authority, the server's P-256 SVID, a hundred callers and a stranger
 * whom no rule names.
 */
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { createRoot, issueSvid } from '#certs/authority/authority.ts';
import { LOAD_NAMESPACE, TRUST_DOMAIN } from './policy-set.ts';

export interface Holder {
  readonly spiffeId: string;
  /** Files, in PEM. */
  readonly certificate: string;
  readonly key: string;
  /** SHA-1 of the certificate, in lower-case hex: what nginx and HAProxy know a caller by. */
  readonly fingerprint: string;
}

export interface Certificates {
  readonly bundle: string;
  readonly server: Holder;
  /** Certificate and key in one file, as HAProxy wants them. */
  readonly serverCombined: string;
  readonly callers: readonly Holder[];
  /** The same of the first caller. */
  readonly callerCombined: string;
  /** A good SVID that no rule and no allow-list names. */
  readonly stranger: Holder;
  /** The callers as bench/load/load.c reads them. */
  readonly identityList: string;
}

export function makeCertificates(folder: string): Certificates {
  const times = { atMs: Date.now(), lifetimeMs: LIFETIME_MS };
  const root = createRoot({ trustDomain: TRUST_DOMAIN, ...times });
  const bundle = `${folder}/ca.pem`;
  const callerCombined = `${folder}/caller.combined.pem`;
  const serverCombined = `${folder}/server.combined.pem`;
  writeFileSync(bundle, root.bundlePem);
  const issue = (file: string, path: string): Holder => {
    const spiffeId = `spiffe://${TRUST_DOMAIN}${path}`;
    const svid = issueSvid(root, { spiffeId, ...times });
    const holder = { spiffeId, certificate: `${folder}/${file}.pem`, key: `${folder}/${file}.key` };
    writeFileSync(holder.certificate, svid.certificatePem);
    writeFileSync(holder.key, svid.keyPem, { mode: 0o600 });
    if (file === 'server') writeFileSync(serverCombined, svid.certificatePem + svid.keyPem, { mode: 0o600 });
    if (file === 'caller-0') writeFileSync(callerCombined, svid.certificatePem + svid.keyPem, { mode: 0o600 });
    return { ...holder, fingerprint: createHash('sha1').update(svid.certificate.der).digest('hex') };
  };
  const server = issue('server', '/ns/shop/sa/orders');
  const callers = Array.from({ length: CALLERS }, (_, i) => issue(`caller-${i}`, `/ns/${LOAD_NAMESPACE}/sa/caller-${i}`));
  const identityList = `${folder}/identities`;
  writeFileSync(identityList, callers.map((one) => `${one.certificate} ${one.key}\n`).join(''));
  return {
    bundle,
    server,
    serverCombined,
    callers,
    callerCombined,
    stranger: issue('stranger', '/ns/elsewhere/sa/stranger'),
    identityList,
  };
}

const CALLERS = 100;
const LIFETIME_MS = 24 * 3600 * 1000;
