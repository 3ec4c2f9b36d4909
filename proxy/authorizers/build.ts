/** Makes the authorizers of a configuration. */
import type { AuthorizerConfig } from '#proto/config/authorizers.ts';
import type { Runtime } from '../runtime.ts';
import type { Upstreams } from '../upstream/upstreams.ts';
import { Authorizers } from './authorizers.ts';
import { GrpcAuthorizer } from './grpc-authorizer.ts';
import { HttpAuthorizer } from './http-authorizer.ts';

export function buildAuthorizers(configs: readonly AuthorizerConfig[], runtime: Runtime, upstreams: Upstreams): Authorizers {
  const authorizers = new Authorizers(runtime);
  for (const config of configs) {
    if (config.kind === 'grpc') authorizers.add(new GrpcAuthorizer(config, upstreams.authorizer(config)), config.concurrency);
    else if (config.kind === 'http')
      authorizers.add(new HttpAuthorizer(config, upstreams.authorizer(config)), config.concurrency);
  }
  return authorizers;
}
