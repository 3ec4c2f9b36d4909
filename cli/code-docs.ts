/** What each code means that a decision, an access log or a message may show; read from the very tables that make them. */
import { DECISION_CODES } from '#authz/engine/input.ts';
import { MESSAGE_CODES } from '#authz/policy/messages.ts';
import { nearestName } from '#authz/policy/suggest.ts';
import { SVID_REFUSALS } from '#certs/refusal.ts';
import { CONFIG_MESSAGES } from '#proto/config/messages.ts';
import { FAILURES } from '#proxy/failure.ts';

export interface CodeDoc {
  readonly code: string;
  /** `decision code`, `failure code`, `message`, `refusal of an SVID`. */
  readonly kind: string;
  readonly what: string;
  /** Page of the reference, or null where the code has none. */
  readonly docs: string | null;
}

/** Every meaning of a code; a failure and a decision may share one. Empty when there is no such code. */
export function codeDocs(code: string): CodeDoc[] {
  return allDocs().filter((doc) => doc.code === code);
}

/** The code that was probably meant. */
export function nearestCode(code: string): string | null {
  return nearestName(
    code,
    allDocs().map((doc) => doc.code),
  );
}

function allDocs(): CodeDoc[] {
  return [
    ...docs('decision code', 'decision-codes.md', Object.entries(DECISION_CODES)),
    ...docs('failure code', 'failure-codes.md', Object.entries(FAILURES).map(failureEntry)),
    ...docs('message', 'messages.md', Object.entries(MESSAGE_CODES)),
    ...docs('message', 'messages.md', Object.entries(CONFIG_MESSAGES)),
    ...docs(
      'refusal of an SVID',
      'svid-refusals.md',
      Object.entries(SVID_REFUSALS).map(([code, { clause, what }]): [string, string] => [
        code,
        `${what} The chain breaks ${clause}.`,
      ]),
    ),
  ];
}

function failureEntry([code, { what, http, flag, source }]: [string, (typeof FAILURES)[keyof typeof FAILURES]]): [
  string,
  string,
] {
  const reply = http === 0 ? 'no reply, the connection ends' : `status ${http}`;
  return [code, `${what} At fault: ${source}; ${reply}; response flag ${flag}.`];
}

function docs(kind: string, page: string | null, entries: readonly (readonly [string, string])[]): CodeDoc[] {
  return entries.map(([code, what]) => ({ code, kind, what, docs: page === null ? null : `docs/reference/${page}` }));
}
