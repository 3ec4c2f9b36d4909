/** Makes the authorizers of a configuration. */
import type { Log } from '#base/log.ts';
import type { ProxyConfig } from '#proto/config/proxy.ts';
import { LivePolicy } from '../opa/live-policy.ts';
import { OpaAuthorizer } from '../opa/opa-authorizer.ts';
import type { Runtime } from '../runtime.ts';
import type { Upstreams } from '../upstream/upstreams.ts';
import { Authorizers } from './authorizers.ts';
import { GrpcAuthorizer } from './grpc-authorizer.ts';
import { HttpAuthorizer } from './http-authorizer.ts';

export function buildAuthorizers(proxy: ProxyConfig, runtime: Runtime, upstreams: Upstreams, log: Log): Authorizers {
  const authorizers = new Authorizers(runtime);
  const labels = { id: `${proxy.namespace}/${proxy.name}` };
  for (const config of proxy.authorizers) {
    const { concurrency } = config;
    if (config.kind === 'grpc') authorizers.add(new GrpcAuthorizer(config, upstreams.authorizer(config)), concurrency);
    else if (config.kind === 'http') authorizers.add(new HttpAuthorizer(config, upstreams.authorizer(config)), concurrency);
    else {
      const policy = new LivePolicy(config, labels, proxy.concurrency > 1, log);
      authorizers.add(new OpaAuthorizer(config, policy), concurrency, policy);
    }
  }
  return authorizers;
}
