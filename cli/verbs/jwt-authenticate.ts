/**
 * `postern jwt authenticate`: whose request this is, or why its tokens are refused, as a sidecar of the workload would say by its
 * RequestAuthentication documents; with the code of the data path. Keys come from files: nothing is fetched.
 */
import { readFileSync } from 'node:fs';

import { jwtRulesOf } from '#authz/policy/precedence.ts';
import type { Workload } from '#authz/policy/model.ts';
import type { PolicySet } from '#authz/policy/policy-set.ts';
import { readKeySet } from '#certs/jwt/key-set.ts';
import { keySourcesOf } from '#proto/key-sets.ts';
import { KeyStore } from '#proxy/authn/tokens/key-store.ts';
import { TokenCounts } from '#proxy/authn/tokens/proof-cache.ts';
import { TokenAuthenticator } from '#proxy/authn/tokens/token-authenticator.ts';
import { planTokens } from '#proxy/authn/tokens/token-plan.ts';
import { failureRow, type Failure } from '#proxy/failure.ts';
import { fieldPolicy, filterRequestFields } from '#proxy/http/fields.ts';
import type { RequestHead } from '#wire/h1/head.ts';

import { EXIT, ExitError } from '../exit.ts';
import type { ExitStatus } from '../exit.ts';
import { reasonOf } from '../file-error.ts';
import { answerLines } from '../json-lines.ts';
import type { Question } from '../json-lines.ts';
import { tokenRuleFaults } from '../token-rule-faults.ts';
import { readQuestionHead } from './question-head.ts';
import { readQuestionWorkload } from './policy-decide-question.ts';
import { readSoundPolicies } from './policy-output.ts';
import type { VerbStreams } from './verb.ts';

export interface JwtAuthenticateOptions {
  /** Files and folders of policies. */
  readonly files: readonly string[];
  /** `URI=FILE`: what a `jwksUri`, or the OpenID configuration of an issuer, would bring. */
  readonly jwks: readonly string[];
  readonly rootNamespace: string;
  readonly ignoreKinds: boolean;
  /** Milliseconds; null is the moment of each question. */
  readonly atMs: number | null;
}

export type AuthenticateAnswer =
  | {
      readonly ok: true;
      readonly tokens: readonly { readonly issuer: string; readonly subject: string; readonly claims: object }[];
      /** Issuer and subject of the first token, as policies name them; null without both. */
      readonly principal: string | null;
      /** What the app is told of it. */
      readonly headers: readonly (readonly [string, string])[];
    }
  | {
      readonly ok: false;
      readonly status: number;
      readonly code: string;
      /** The document that refuses, or null. */
      readonly policy: string | null;
      readonly message: string;
    };

/** Answers every line of standard input. */
export async function jwtAuthenticate(options: JwtAuthenticateOptions, io: VerbStreams): Promise<ExitStatus> {
  const { atMs, files, ignoreKinds, jwks, rootNamespace } = options;
  const users = new Users(await readSoundPolicies(files, ignoreKinds, io), readKeyFiles(jwks), rootNamespace);
  return answerLines(io, (question) => answer(users, question, atMs ?? Date.now()));
}

function answer(users: Users, question: Question, nowMs: number): AuthenticateAnswer {
  const authenticator = users.of(readQuestionWorkload(question));
  const head = readQuestionHead(question);
  if (head === null) return refused('bad_request', null);
  if (authenticator === null) return { ok: true, tokens: [], principal: null, headers: [] };
  return judge(authenticator, head, nowMs);
}

function judge(authenticator: TokenAuthenticator, head: RequestHead, nowMs: number): AuthenticateAnswer {
  const policy = fieldPolicy('allow', authenticator.plan.fieldNames);
  if (filterRequestFields(head, policy, false) !== 0) return refused('bad_field', null);
  const code = authenticator.authenticate(head, nowMs);
  if (code !== null) return refused(code, authenticator.refusal?.policy ?? null);
  const { fields, tokens } = authenticator;
  const [first] = tokens;
  return {
    ok: true,
    tokens: tokens.map(({ claims, issuer, subject }) => ({ issuer, subject, claims })),
    principal: first === undefined || first.subject === '' ? null : `${first.issuer}/${first.subject}`,
    headers: fields,
  };
}

function refused(code: Failure, policy: string | null): AuthenticateAnswer {
  const { http: status, what: message } = failureRow(code);
  return { ok: false, status, code, policy, message };
}

/** What proves the users of each workload; the least recently asked for is dropped. */
class Users {
  readonly #set: PolicySet;
  readonly #keyFiles: ReadonlyMap<string, string>;
  readonly #rootNamespace: string;
  readonly #known = new Map<string, TokenAuthenticator | null>();

  constructor(set: PolicySet, keyFiles: ReadonlyMap<string, string>, rootNamespace: string) {
    this.#set = set;
    this.#keyFiles = keyFiles;
    this.#rootNamespace = rootNamespace;
  }

  /** Null where no rule holds. */
  of(workload: Workload): TokenAuthenticator | null {
    const key = JSON.stringify(workload);
    let users = this.#known.get(key);
    if (users === undefined) users = this.#make(workload);
    this.#known.delete(key);
    this.#known.set(key, users);
    const [oldest] = this.#known.keys();
    if (this.#known.size > WORKLOADS_MAX && oldest !== undefined) this.#known.delete(oldest);
    return users;
  }

  #make(workload: Workload): TokenAuthenticator | null {
    const rules = jwtRulesOf(this.#set.requestAuthentications, workload, this.#rootNamespace);
    const [fault] = tokenRuleFaults(rules, this.#set);
    if (fault !== undefined) throw new ExitError(EXIT.data, `${fault.file}:${fault.line}: ${fault.message}`, fault.fix);
    if (rules.length === 0) return null;
    const sources = keySourcesOf(rules);
    const store = new KeyStore(() => {});
    store.follow(sources);
    for (const { id, issuer, jwksUri } of sources) {
      const keys = this.#keyFiles.get(jwksUri ?? issuer) ?? null;
      store.take({ source: id, keys, fetchedMs: 0, fault: keys === null ? 'key_set_unreachable' : null });
    }
    const plan = planTokens(rules, store, '', 0);
    return new TokenAuthenticator({ plan, keyMaxAgeMs: Infinity, counts: new TokenCounts() });
  }
}

/** Texts of key sets by where they would come from. */
function readKeyFiles(pairs: readonly string[]): ReadonlyMap<string, string> {
  return new Map(
    pairs.map((pair): [string, string] => {
      // A URI may have one of its own.
      const equals = pair.lastIndexOf('=');
      if (equals < 1) throw new ExitError(EXIT.usage, `Cannot read --jwks "${pair}": wanted URI=FILE`);
      const file = pair.slice(equals + 1);
      return [pair.slice(0, equals), readKeyFile(file)];
    }),
  );
}

function readKeyFile(file: string): string {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new ExitError(EXIT.usage, `Cannot read "${file}": ${reasonOf(error)}`);
  }
  if (readKeySet(text) !== null) return text;
  throw new ExitError(EXIT.usage, `Cannot read "${file}": found no JSON object with a list "keys", each with an id of its own`);
}

const WORKLOADS_MAX = 128;
