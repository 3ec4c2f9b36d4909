/**
 * The identities of a run, made for it and thrown away: one authority, the server's P-256 SVID, a hundred callers and a stranger
 * whom no rule names.
 */
import { execFileSync } from 'node:child_process';
import { createHash, X509Certificate } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { LOAD_NAMESPACE, TRUST_DOMAIN } from './policy-set.ts';

export interface Holder {
  readonly spiffeId: string;
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
  /** A good SVID that no rule and no allow-list names. */
  readonly stranger: Holder;
  /** The callers as bench/load/load.c reads them. */
  readonly identityList: string;
}

export function makeCertificates(folder: string): Certificates {
  const bundle = `${folder}/ca.pem`;
  // prettier-ignore
  openssl(['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-subj', '/O=bench', '-days', '2',
    '-keyout', `${folder}/ca.key`, '-out', bundle, '-addext', 'basicConstraints=critical,CA:TRUE',
    '-addext', 'keyUsage=critical,keyCertSign,cRLSign', '-addext', `subjectAltName=URI:spiffe://${TRUST_DOMAIN}`]);
  const issue = (file: string, path: string): Holder => {
    const spiffeId = `spiffe://${TRUST_DOMAIN}${path}`;
    const holder = { spiffeId, certificate: `${folder}/${file}.pem`, key: `${folder}/${file}.key` };
    openssl([
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-nodes',
      '-subj',
      '/O=SPIRE',
      '-days',
      '1',
      '-CA',
      bundle,
      '-CAkey',
      `${folder}/ca.key`,
      '-keyout',
      holder.key,
      '-out',
      holder.certificate,
      '-addext',
      'basicConstraints=critical,CA:FALSE',
      '-addext',
      'keyUsage=critical,digitalSignature',
      '-addext',
      'extendedKeyUsage=serverAuth,clientAuth',
      '-addext',
      `subjectAltName=URI:${spiffeId}`,
    ]);
    const { raw } = new X509Certificate(readFileSync(holder.certificate));
    return { ...holder, fingerprint: createHash('sha1').update(raw).digest('hex') };
  };
  const server = issue('server', '/ns/shop/sa/orders');
  const serverCombined = `${folder}/server.combined.pem`;
  writeFileSync(serverCombined, readFileSync(server.certificate, 'utf8') + readFileSync(server.key, 'utf8'));
  const callers = Array.from({ length: CALLERS }, (_, i) => issue(`caller-${i}`, `/ns/${LOAD_NAMESPACE}/sa/caller-${i}`));
  const identityList = `${folder}/identities`;
  writeFileSync(identityList, callers.map((one) => `${one.certificate} ${one.key}\n`).join(''));
  return { bundle, server, serverCombined, callers, stranger: issue('stranger', '/ns/elsewhere/sa/stranger'), identityList };
}

function openssl(args: readonly string[]): void {
  execFileSync('openssl', args, { stdio: ['ignore', 'pipe', 'pipe'] });
}

const CALLERS = 100;
