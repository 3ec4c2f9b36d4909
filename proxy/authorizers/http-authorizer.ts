/** Asks an authorizer by plain HTTP, as Envoy does: the request's method, path and host, and what of its headers is configured. 200 allows. */
import { FIELD, RequestHead, type HeadLimits } from '#wire/h1/head.ts';
import { parseRequestHead } from '#wire/h1/request.ts';
import type { HttpAuthorizer as Config } from '#proto/config/authorizers.ts';
import type { CallerPool } from '../upstream/caller-pool.ts';
import type { UpstreamService } from '../upstream/service.ts';
import {
  NO_CHANGES,
  type Answer,
  type Asked,
  type Authorizer,
  type Changes,
  type FieldPair,
  type Question,
} from './authorizer.ts';
import { CheckCall, type CheckOutcome, type Reply } from './check-call.ts';
import { denialWith, mayChange } from './changes.ts';
import { hostOf, targetOf, toldFields } from './told-fields.ts';

export class HttpAuthorizer implements Authorizer {
  readonly name: string;
  readonly bodyBytes: number;
  readonly failOpen: boolean;
  readonly statusOnError: number;
  /** Whoever it is does not tell. */
  readonly generation = 0;
  readonly #config: Config;
  readonly #service: UpstreamService;
  readonly #pool: CallerPool;
  readonly #additional: string;

  constructor(config: Config, service: UpstreamService) {
    this.name = config.name;
    this.bodyBytes = config.body?.maxBytes ?? 0;
    this.failOpen = config.failOpen;
    this.statusOnError = config.statusOnError;
    this.#config = config;
    this.#service = service;
    this.#pool = service.join('authorizer');
    this.#additional = Object.entries(config.additionalHeaders)
      .map(([name, value]) => `${name}: ${value}\r\n`)
      .join('');
  }

  ask(question: Question, answered: (answer: Answer) => void): Asked {
    const head = this.#headOf(question);
    if (head === null) {
      const failed = setImmediate(() => answered({ kind: 'none', code: 'provider_error', detail: 'question_too_large' }));
      return { abort: () => clearImmediate(failed) };
    }
    const request = {
      head,
      body: question.body ?? NOTHING,
      isGrpc: false,
      timeoutMs: this.#config.timeoutMs,
      snapshot: question.exchange.snapshot,
    };
    return new CheckCall(this.#service, this.#pool, request, (outcome) => answered(this.#answerOf(outcome)));
  }

  #headOf({ body, exchange, head }: Question): RequestHead | null {
    const { additionalHeaders, pathPrefix, requestHeaders } = this.#config;
    const lines = toldFields(head, exchange)
      .filter(([name]) => name === 'authorization' || isListed(requestHeaders, name))
      .filter(([name]) => !Object.hasOwn(additionalHeaders, name) && mayAsk(name))
      .map(([name, value]) => `${name}: ${value}\r\n`);
    const text =
      `${exchange.method} ${pathPrefix}${targetOf(head, exchange)} HTTP/1.1\r\nhost: ${hostOf(head, exchange)}\r\n` +
      `${lines.join('')}${this.#additional}content-length: ${body?.length ?? 0}\r\n\r\n`;
    const bytes = Buffer.from(text, 'latin1');
    const made = new RequestHead();
    if (parseRequestHead(bytes, 0, bytes.length, made, LIMITS) !== bytes.length) return null;
    // The connection writes the length itself.
    for (let index = 0; index < made.fields.count; index++) {
      if (made.fields.ids[index] === FIELD.contentLength) made.fields.dropped[index] = 1;
    }
    return made;
  }

  #answerOf(outcome: CheckOutcome): Answer {
    if ('code' in outcome) return { kind: 'none', code: outcome.code, detail: outcome.detail };
    const { status } = outcome;
    if (status === 200) return { kind: 'allow', changes: this.#changes(outcome) };
    if (status >= 500) return { kind: 'none', code: 'provider_error', detail: `status_${status}` };
    const { downstreamOnDeny } = this.#config;
    const told = outcome.fields.filter(([name]) => downstreamOnDeny.length === 0 || isListed(downstreamOnDeny, name));
    return { kind: 'deny', denial: denialWith(status, told, outcome.body), detail: '' };
  }

  #changes({ fields }: Reply): Changes {
    const { downstreamOnAllow, upstreamOnAllow } = this.#config;
    const taken = new Map<string, FieldPair>();
    for (const [name, value] of fields) {
      if (!isListed(upstreamOnAllow, name) || !mayChange(name)) continue;
      const before = taken.get(name);
      taken.set(name, [name, before === undefined ? value : `${before[1]},${value}`]);
    }
    // What the authorizer is to say, and did not, nobody says: but a credential is the caller's to send.
    const unsaid = upstreamOnAllow.filter(
      (name) => !name.includes('*') && !taken.has(name) && !CREDENTIALS.has(name) && mayChange(name),
    );
    return {
      ...NO_CHANGES,
      set: [...taken.values()],
      remove: [...removedBy(fields), ...unsaid],
      respond: fields.filter(([name]) => isListed(downstreamOnAllow, name)),
    };
  }
}

/** `x-envoy-auth-headers-to-remove: a, b` of an answer. */
function removedBy(fields: readonly FieldPair[]): readonly string[] {
  return fields
    .filter(([name]) => name === 'x-envoy-auth-headers-to-remove')
    .flatMap(([, value]) => value.split(','))
    .map((name) => name.trim())
    .filter((name) => name !== '' && mayChange(name));
}

/** Whether a list of names, some with `*` at one end, has this one. */
function isListed(list: readonly string[], name: string): boolean {
  return list.some((one) => {
    if (one.endsWith('*')) return name.startsWith(one.slice(0, -1));
    return one.startsWith('*') ? name.endsWith(one.slice(1)) : one === name;
  });
}

/** What frames our own request is not the caller's to say. */
function mayAsk(name: string): boolean {
  return !FRAMING_NAMES.has(name);
}

const FRAMING_NAMES: ReadonlySet<string> = new Set([
  'host',
  'content-length',
  'transfer-encoding',
  'connection',
  'te',
  'expect',
  'upgrade',
]);
const CREDENTIALS: ReadonlySet<string> = new Set(['authorization', 'cookie']);
const NOTHING = Buffer.alloc(0);
const LIMITS: HeadLimits = { headBytes: 131_072, fields: 512 };
