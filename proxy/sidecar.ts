/**
 * A sidecar from its validated configuration: listeners, upstreams, identity and policy, put together and kept up to date. What
 * changes at run time are snapshots (`Runtime.snapshot`): a new one is proved first, then swapped in by reference.
 */
import { systemClock } from '#base/clock.ts';
import type { Log } from '#base/log.ts';
import { TimerWheel } from '#base/timer-wheel.ts';
import type { IdentitySnapshot } from '#certs/source/assemble.ts';
import { VerifyCache } from '#certs/verify-cache.ts';
import type { SelectedJwtRule } from '#authz/policy/authentication.ts';
import type { ProxyConfig } from '#proto/config/proxy.ts';
import { keySourcesOf, type KeySetNews } from '#proto/key-sets.ts';
import type { DocumentFault, PrepareAnswer } from '#proto/prepare.ts';
import { authorizerSamples } from './authorizers/authorizer-state.ts';
import type { Authorizers } from './authorizers/authorizers.ts';
import { buildAuthorizers } from './authorizers/build.ts';
import { adminAnswer } from './admin/answers.ts';
import { tokenSamples } from './authn/tokens/token-samples.ts';
import { KeyStore } from './authn/tokens/key-store.ts';
import { planTokens } from './authn/tokens/token-plan.ts';
import { TokenAuthenticator } from './authn/tokens/token-authenticator.ts';
import { TrustedForwarders } from './authn/trusted-forwarders.ts';
import { hboneCarrier } from './hbone/hbone-carrier.ts';
import { HboneDialer } from './hbone/hbone-dialer.ts';
import { hboneListener } from './hbone/hbone-listener.ts';
import { inboundCarrier } from './inbound.ts';
import { InboundListener } from './listen/inbound-listener.ts';
import { acceptQueuesEmpty, listenersClosed } from './listen/listener.ts';
import { OutboundListener } from './listen/outbound-listener.ts';
import { outboundCarrier } from './outbound.ts';
import { PolicyExpiry } from './policy-expiry.ts';
import { expiredPolicy, noPolicy, policySnapshot } from './policy-snapshot.ts';
import { collect } from './report/collect.ts';
import { LineSink } from './report/line-sink.ts';
import { Report } from './report/report.ts';
import { Revoker } from './revoke/revoker.ts';
import type { Samples } from './report/samples.ts';
import { Runtime } from './runtime.ts';
import type { PolicySnapshot } from './snapshot.ts';
import { outboundRoute, TCP_PROTOCOLS } from './tcp/tcp-route.ts';
import { upstreamSamples, upstreamStates } from './upstream/upstream-state.ts';
import { Upstreams } from './upstream/upstreams.ts';

export class Sidecar {
  readonly runtime: Runtime;
  readonly #config: ProxyConfig;
  readonly #log: Log;
  readonly #inbound: InboundListener[] = [];
  readonly #outbound: OutboundListener[] = [];
  readonly #upstreams: Upstreams;
  readonly #authorizers: Authorizers;
  readonly #cache = new VerifyCache();
  readonly #revoker: Revoker;
  readonly #expiry = new PolicyExpiry(systemClock, () => this.#policyExpired());
  readonly #keys: KeyStore;
  /** Told of a source whose set lacks a key that a token names. */
  onKeysWanted: (source: string) => void = () => {};
  /** At the start key sets are waited for until each was asked for once; later ones find requests under way. */
  #awaitsKeys = true;
  #policyFaults: readonly DocumentFault[] = [];
  #identityFault: string | null = null;
  #isListening = false;
  #hasSuccessor = false;

  constructor(config: ProxyConfig, log: Log) {
    this.#config = config;
    this.#log = log;
    this.#keys = new KeyStore((source) => this.onKeysWanted(source));
    const { accessLog, flows } = config.telemetry;
    const report = new Report({
      accessLog: accessLog === null ? null : new LineSink(accessLog, config.concurrency > 1),
      flows: flows === null ? null : new LineSink(flows, config.concurrency > 1),
      workload: { namespace: config.namespace, name: config.name, labels: config.labels, principal: null },
      ringSize: DECISIONS_KEPT,
    });
    this.runtime = new Runtime({
      clock: systemClock,
      wheel: new TimerWheel(TICK_MS, () => systemClock.monotonicMs()),
      limits: config.limits,
      timeouts: config.timeouts,
      report,
      snapshot: { policy: noPolicy(systemClock.nowMs()), identity: null },
    });
    this.#revoker = new Revoker(this.runtime, this.#cache);
    this.#upstreams = new Upstreams(this.runtime, this.#cache);
    this.#authorizers = buildAuthorizers(config, this.runtime, this.#upstreams, log);
    this.#build();
  }

  /** Binds the listeners. */
  async listen(): Promise<void> {
    this.runtime.wheel.start();
    this.#revoker.start();
    for (const listener of [...this.#inbound, ...this.#outbound]) await listener.listen();
    this.#isListening = true;
  }

  /** Why the sidecar should get no traffic, or null. */
  notReady(): string | null {
    if (this.#hasSuccessor) return null;
    if (this.runtime.isDraining) return 'draining';
    return this.notServable() ?? (this.#isListening ? null : 'starting');
  }

  /** Why a request could not be served although it were accepted, or null. */
  notServable(): string | null {
    const { identity, policy } = this.runtime.snapshot;
    if (identity === null) return `no identity${this.#identityFault === null ? '' : `: ${this.#identityFault}`}`;
    if (identity.svid.notAfterMs <= this.runtime.clock.nowMs()) return 'the SVID has expired';
    if (policy.state !== 'ok' && policy.state !== 'allow_all') return `no policy in force: ${policy.state}`;
    const awaited = this.#awaitsKeys ? this.#keys.awaited : null;
    if (awaited !== null) return `waiting for the keys of ${awaited}`;
    this.#awaitsKeys = false;
    return this.#authorizers.notServable();
  }

  /** The admin interface's answer to `GET url`; null when there is no such thing. */
  answerAdmin(url: string): unknown {
    if (url === '/authorizers') return this.#authorizers.states();
    if (url === '/upstreams') return upstreamStates(this.#upstreams.services);
    return adminAnswer(url, {
      runtime: this.runtime,
      config: this.#config,
      notReady: () => this.notReady(),
      policyFaults: () => this.#policyFaults,
      identityFault: () => this.#identityFault,
    });
  }

  /** What was counted so far. */
  samples(): Samples {
    return {
      ...collect(this.runtime),
      ...tokenSamples(this.runtime.report.tokens, this.#keys),
      ...upstreamSamples(this.#upstreams.services),
      ...authorizerSamples(this.#authorizers.states()),
    };
  }

  /** Puts an identity in force, everywhere. */
  async useIdentity(identity: IdentitySnapshot): Promise<void> {
    const before = this.runtime.snapshot.identity;
    this.runtime.snapshot = { ...this.runtime.snapshot, identity };
    this.#identityFault = null;
    for (const listener of this.#inbound) if (this.#isListening) await listener.rotated();
    if (before !== null) {
      const areBundlesNew = before.bundleGeneration !== identity.bundleGeneration;
      if (areBundlesNew) this.#revoker.bundlesChanged(this.#inbound.map(({ proved }) => proved));
      this.#upstreams.identityChanged(identity, areBundlesNew);
    }
    const { spiffeId, serial, notAfterMs } = identity.svid;
    this.#log.info({ spiffeId: spiffeId.uri, serial, notAfter: new Date(notAfterMs).toISOString() }, 'identity in force');
  }

  /** Notes that the newest identity files were refused; the one in force stays. */
  identityRefused(code: string, message: string): void {
    this.#identityFault = code;
    this.#log.error({ code, detail: message }, 'identity refused, the last good one stays in force');
  }

  /** Puts a prepared policy in force, or keeps the last good one and says why. */
  usePolicy(answer: PrepareAnswer): void {
    const { policies } = this.#config;
    const current = this.runtime.snapshot.policy;
    const faults = [...answer.configFaults, ...answer.policyFaults];
    this.#policyFaults = faults;
    const isGood = answer.policyState === 'ok' || answer.policyState === 'allow_all';
    for (const { code } of answer.policyFaults) this.runtime.report.policyRefused(code);
    if (!isGood && current.state !== 'missing' && current.state !== 'invalid') {
      this.#logFaults(answer.policyState === 'missing' ? 'no policy document is left' : 'policy refused', faults);
      return;
    }
    if (!isGood) this.#logFaults(`no policy in force: ${answer.policyState}`, faults);
    else if (faults.length > 0) this.#logFaults('a policy with faults beside it', faults);
    if (answer.policy !== null && answer.policy.revision === current.engine.revision && isGood) return this.#prolong(answer);
    this.#keys.follow(keySourcesOf(answer.policy?.jwtRules ?? []));
    const policy = policySnapshot(answer, {
      whenNoneSelects: policies.whenNoneSelects,
      loadedMs: this.runtime.clock.nowMs(),
      usersOf: ({ jwtRules, revision }) => this.#usersOf(jwtRules, revision),
    });
    this.#enforce(policy);
  }

  /** Takes what a fetch of keys brought. Other keys make another snapshot, by which what is open is judged again. */
  useKeys(news: KeySetNews): void {
    if (!this.#keys.take(news)) return;
    const { policy } = this.runtime.snapshot;
    if (policy.users === null) return;
    const rules = policy.users.plan.rules.map(({ rule }) => rule);
    const users = this.#usersOf(rules, policy.engine.revision);
    this.runtime.snapshot = { ...this.runtime.snapshot, policy: { ...policy, users } };
    this.#revoker.policyChanged();
    this.#log.info({ source: news.source }, 'keys in force');
  }

  /**
   * Accepts no more, lets what is in flight finish, writes the logs out. Resolves when that is done, or its time is over.
   *
   * @param hasSuccessor  another process accepts from the same sockets, and what waits in their queues is its
   */
  async drain(hasSuccessor: boolean): Promise<void> {
    this.#hasSuccessor = hasSuccessor;
    this.runtime.startDrain();
    if (!hasSuccessor) await acceptQueuesEmpty(QUEUE_MS);
    for (const listener of [...this.#inbound, ...this.#outbound]) listener.close();
    await this.runtime.endDrain(listenersClosed());
    this.runtime.wheel.stop();
    const { accessLog, flows } = this.runtime.report;
    await Promise.all([accessLog?.close(LOG_CLOSE_MS), flows?.close(LOG_CLOSE_MS), this.#authorizers.close()]);
  }

  reopenLogs(): void {
    this.runtime.report.accessLog?.reopen();
    this.runtime.report.flows?.reopen();
    this.#authorizers.reopenLogs();
  }

  /** The same policy, told anew: by a bundle of its own time, for one. */
  #prolong({ bundle, isKeptCopy, policyExpiresMs }: PrepareAnswer): void {
    const { policy } = this.runtime.snapshot;
    const isSame = JSON.stringify(bundle) === JSON.stringify(policy.bundle);
    // Another snapshot has everything judged again that is open.
    if (isSame && isKeptCopy === policy.isKeptCopy && policyExpiresMs === policy.expiresMs) return;
    this.runtime.snapshot = { ...this.runtime.snapshot, policy: { ...policy, bundle, isKeptCopy, expiresMs: policyExpiresMs } };
    this.#expiry.await(policyExpiresMs);
  }

  #enforce(policy: PolicySnapshot): void {
    this.runtime.snapshot = { ...this.runtime.snapshot, policy };
    this.#expiry.await(policy.state === 'ok' ? policy.expiresMs : null);
    this.#revoker.policyChanged();
    const { bundle, documents, engine, selected, state } = policy;
    const told = bundle === null ? {} : { bundle: bundle.revision };
    this.#log.info({ revision: engine.revision, ...told, state, documents, selected }, 'policy in force');
    const reason = this.#authorizers.unanswerable(engine.providers);
    if (reason !== null) this.#log.warn({ reason }, 'what CUSTOM policies match is denied');
  }

  #policyExpired(): void {
    const { policy } = this.runtime.snapshot;
    this.#log.error({ code: 'policy_expired', revision: policy.engine.revision }, 'the policy has expired, everything is denied');
    this.#enforce(expiredPolicy(policy, this.runtime.clock.nowMs()));
  }

  #build(): void {
    const { runtime } = this;
    const trusted = new TrustedForwarders(this.#config.trustedForwarders);
    for (const config of this.#config.inbound) {
      const app = this.#upstreams.workload(config);
      this.#inbound.push(
        new InboundListener({
          config,
          runtime,
          carry: inboundCarrier(config, app, this.#authorizers),
          app,
          cache: this.#cache,
          trusted,
        }),
      );
    }
    const { hbone } = this.#config;
    if (hbone !== null) {
      const app = this.#upstreams.nowhere();
      const carry = hboneCarrier(hbone.addresses, [...this.#inbound]);
      this.#inbound.push(
        new InboundListener({ config: hboneListener(hbone.listen), runtime, carry, app, cache: this.#cache, trusted }),
      );
    }
    for (const config of this.#config.outbound) {
      const peer = this.#upstreams.peer(config);
      const { hboneDestination } = config;
      const route = outboundRoute(config, (endpoint) =>
        hboneDestination === null
          ? this.#upstreams.dialer(config, endpoint, TCP_PROTOCOLS, true)
          : new HboneDialer(runtime, this.#upstreams.hbone(config, endpoint), hboneDestination),
      );
      this.#outbound.push(new OutboundListener({ config, runtime, carry: outboundCarrier(peer), peer, route }));
    }
  }

  #usersOf(rules: readonly SelectedJwtRule[], revision: string): TokenAuthenticator | null {
    if (rules.length === 0) return null;
    const { keyMaxAgeMs, leewayMs } = this.#config.tokens;
    const plan = planTokens(rules, this.#keys, revision, leewayMs);
    return new TokenAuthenticator({ plan, keyMaxAgeMs, counts: this.runtime.report.tokens });
  }

  #logFaults(what: string, faults: readonly DocumentFault[]): void {
    const lines = faults
      .slice(0, FAULTS_LOGGED)
      .map(({ file, line, column, code, message }) => `${file}:${line}:${column}: ${code}: ${message}`);
    this.#log.error({ faults: lines }, what);
  }
}

const TICK_MS = 250;
const DECISIONS_KEPT = 1_024;
const FAULTS_LOGGED = 20;
const LOG_CLOSE_MS = 2_000;
/** So long connections that come without a pause are accepted after the signal. */
const QUEUE_MS = 1_000;
