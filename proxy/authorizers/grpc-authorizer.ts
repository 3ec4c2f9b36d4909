/** Asks an authorizer by gRPC: `envoy.service.auth.v3.Authorization/Check`, as Envoy does. */
import { RequestHead, type HeadLimits } from '#wire/h1/head.ts';
import { parseRequestHead } from '#wire/h1/request.ts';
import type { GrpcAuthorizer as Config } from '#proto/config/authorizers.ts';
import type { CallerPool } from '../upstream/caller-pool.ts';
import type { UpstreamService } from '../upstream/service.ts';
import type { Answer, Asked, Authorizer, NoAnswer, Question } from './authorizer.ts';
import { CheckCall, type CheckOutcome } from './check-call.ts';
import { checkRequest, framed } from './check-request.ts';
import { checkAnswer } from './check-response.ts';

export class GrpcAuthorizer implements Authorizer {
  readonly name: string;
  readonly bodyBytes: number;
  readonly failOpen: boolean;
  readonly statusOnError: number;
  /** Whoever it is does not tell. */
  readonly generation = 0;
  readonly #isRaw: boolean;
  readonly #timeoutMs: number;
  readonly #service: UpstreamService;
  readonly #pool: CallerPool;
  /** The same for every question. */
  readonly #head = new RequestHead();

  constructor(config: Config, service: UpstreamService) {
    this.name = config.name;
    this.bodyBytes = config.body?.maxBytes ?? 0;
    this.failOpen = config.failOpen;
    this.statusOnError = config.statusOnError;
    this.#isRaw = config.body?.isRaw ?? false;
    this.#timeoutMs = config.timeoutMs;
    this.#service = service;
    this.#pool = service.join('authorizer');
    const text =
      `POST /envoy.service.auth.v3.Authorization/Check HTTP/1.1\r\nhost: ${config.name}\r\n` +
      `te: trailers\r\ncontent-type: application/grpc\r\ngrpc-timeout: ${Math.min(config.timeoutMs, 99_999_999)}m\r\n\r\n`;
    const bytes = Buffer.from(text, 'latin1');
    parseRequestHead(bytes, 0, bytes.length, this.#head, LIMITS);
  }

  ask(question: Question, answered: (answer: Answer) => void): Asked {
    const request = {
      head: this.#head,
      body: framed(checkRequest(question, this.#isRaw)),
      isGrpc: true,
      timeoutMs: this.#timeoutMs,
      snapshot: question.exchange.snapshot,
    };
    return new CheckCall(this.#service, this.#pool, request, (outcome) => answered(answerOf(outcome)));
  }
}

function answerOf(outcome: CheckOutcome): Answer {
  if ('code' in outcome) return { kind: 'none', code: outcome.code, detail: outcome.detail };
  const { body, grpcStatus, status } = outcome;
  if (status !== 200) return { kind: 'none', code: 'provider_error', detail: `status_${status}` };
  if (grpcStatus !== 0) {
    return { kind: 'none', code: CODES.get(grpcStatus) ?? 'provider_error', detail: `grpc_status_${grpcStatus}` };
  }
  return checkAnswer(body);
}

/** What it says of itself (gRPC, status codes): its clock may be ahead of ours. */
const CODES: ReadonlyMap<number, NoAnswer> = new Map([
  [4, 'provider_timeout'],
  [8, 'provider_overloaded'],
  [14, 'provider_unavailable'],
]);
const LIMITS: HeadLimits = { headBytes: 16_384, fields: 16 };
