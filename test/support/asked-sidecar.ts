/** A sidecar whose CUSTOM policies ask a real ext_authz server that a test answers for. */
import { startExtAuthz, type ExtAuthz } from './ext-authz.ts';
import { startUpstream, type RawUpstream } from './raw-upstream.ts';
import { policyYaml, startSidecar, type Settings, type Sidecar } from './sidecar.ts';
import { keep, mesh } from './sidecar-pair.ts';

/** Everything below `/asked` needs the authorizer's word, everything but `/closed` is allowed otherwise. */
export const POLICIES = {
  'custom.yaml': policyYaml('outside', {
    action: 'CUSTOM',
    provider: { name: 'outside' },
    rules: [{ to: [{ operation: { paths: ['/asked*'] } }] }],
  }),
  'allow.yaml': policyYaml('inside', { action: 'ALLOW', rules: [{ to: [{ operation: { notPaths: ['/asked/closed'] } }] }] }),
};
/** Every request needs it. */
export const ALL_ASKED = {
  'custom.yaml': policyYaml('outside', { action: 'CUSTOM', provider: { name: 'outside' }, rules: [{}] }),
};

/** More of the sidecar; `mtls` of its listener. */
export type More = Partial<Parameters<typeof startSidecar>[0]> & { readonly mtls?: string };

export async function startAsked(
  forwardTo: string,
  answer: ExtAuthz['answer'],
  settings: Settings = {},
  more: More = {},
): Promise<{ sidecar: Sidecar; authorizer: ExtAuthz }> {
  const authorizer = keep(await startExtAuthz(answer));
  const grpc = { service: '127.0.0.1', port: authorizer.port, timeout: '2s', ...settings };
  const sidecar = keep(
    await startSidecar({
      mesh,
      inbound: [{ mtls: more.mtls ?? 'STRICT', forwardTo }],
      policies: POLICIES,
      policySettings: { whenNoneSelects: 'allow' },
      ...more,
      spec: { authorizers: [{ name: 'outside', envoyExtAuthzGrpc: grpc }], ...more.spec },
    }),
  );
  return { sidecar, authorizer };
}

export async function startAskedPlain(
  answer: ExtAuthz['answer'],
  settings: Settings = {},
  more: More = {},
): Promise<{ sidecar: Sidecar; authorizer: ExtAuthz; upstream: RawUpstream }> {
  const upstream = keep(await startUpstream());
  const started = await startAsked(`127.0.0.1:${upstream.port}`, answer, settings, more);
  return { ...started, upstream };
}
