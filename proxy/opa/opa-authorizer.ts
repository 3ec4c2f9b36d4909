/** Asks a policy of OPA's, which is evaluated in a thread of this process, and reads what it gave as opa-envoy-plugin does. */
import { envoyInput } from '#authz/opa/envoy-input.ts';
import { readEnvoyDecision, type EnvoyDecision } from '#authz/opa/envoy-decision.ts';
import type { OpaAuthorizer as Config } from '#proto/config/authorizers.ts';
import { NO_CHANGES, type Answer, type Asked, type Authorizer, type Denial, type Question } from '../authorizers/authorizer.ts';
import { denialWith, mayChange } from '../authorizers/changes.ts';
import { flushOutlets } from '../io/outlet.ts';
import type { Evaluated, LivePolicy } from './live-policy.ts';
import { opaRequest } from './opa-request.ts';

export class OpaAuthorizer implements Authorizer {
  readonly name: string;
  readonly bodyBytes: number;
  readonly failOpen = false;
  readonly statusOnError: number;
  readonly #policy: LivePolicy;

  constructor(config: Config, policy: LivePolicy) {
    this.name = config.name;
    this.bodyBytes = config.body?.maxBytes ?? 0;
    this.statusOnError = config.statusOnError;
    this.#policy = policy;
  }

  get generation(): number {
    return this.#policy.generation;
  }

  ask(question: Question, answered: (answer: Answer) => void): Asked {
    let isAborted = false;
    const answer = (given: Answer): void => {
      if (isAborted) return;
      answered(given);
      flushOutlets();
    };
    const input = envoyInput(opaRequest(question), { parseBody: this.bodyBytes > 0 });
    if (!input.ok) setImmediate(answer, { kind: 'deny', denial: BAD_REQUEST, detail: input.code } satisfies Answer);
    else {
      // The exchange may be another request's by the time of the answer.
      const { exchange } = question;
      const decisionId = exchange.decisionId();
      const { traceparent } = exchange;
      const requestedBy = exchange.connection.peerAddress;
      void this.#policy.evaluate(input.json).then((evaluated) => {
        this.#policy.tell({
          ...evaluated,
          decisionId,
          traceId: traceparent.slice(3, 35),
          spanId: traceparent.slice(36, 52),
          input: input.json,
          requestedBy,
          timestampMs: Date.now(),
        });
        answer(answerOf(evaluated));
      });
    }
    return {
      abort: () => {
        isAborted = true;
      },
    };
  }
}

function answerOf({ answer }: Evaluated): Answer {
  const decision = answer.ok ? readEnvoyDecision(answer.json) : answer;
  if (!decision.ok) return { kind: 'none', code: decision.code, detail: '' };
  if (!decision.allowed) return { kind: 'deny', denial: denialOf(decision), detail: '' };
  const { headers, queryParametersToRemove, queryParametersToSet, requestHeadersToRemove, responseHeadersToAdd } = decision;
  // Of several values of a name the last one counts, as in Envoy.
  const set = new Map(headers.map((pair) => [pair[0].toLowerCase(), pair]));
  return {
    kind: 'allow',
    changes: {
      ...NO_CHANGES,
      set: [...set.values()].map(latin1),
      // What may not be removed stays, as Host does in Envoy.
      remove: requestHeadersToRemove.filter(mayChange),
      respond: responseHeadersToAdd.map(latin1),
      setQuery: queryParametersToSet.map(latin1),
      removeQuery: queryParametersToRemove,
    },
  };
}

/** Null when the policy says no and nothing else. */
function denialOf({ body, headers, httpStatus }: EnvoyDecision): Denial | null {
  if (body === null && headers.length === 0 && httpStatus === FORBIDDEN) return null;
  return denialWith(httpStatus, headers.map(latin1), Buffer.from(body ?? '', 'utf8'));
}

/** Texts of the policy as they stand in a head: one character a byte. */
function latin1([name, value]: readonly [string, string]): readonly [string, string] {
  return [name, Buffer.from(value, 'utf8').toString('latin1')];
}

const FORBIDDEN = 403;
const BAD_REQUEST: Denial = {
  status: 400,
  fields: 'content-type: text/plain; charset=utf-8\r\n',
  body: Buffer.from('postern: path, query or body cannot be read\n', 'latin1'),
};
