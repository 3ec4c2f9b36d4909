/**
 * `postern explain ID`: why a request was decided as it was, from the sidecar's ring of recent decisions, else from its access
 * log; and for the name of a code, what it means.
 */
import { existsSync } from 'node:fs';

import { askSidecar, findSidecar } from '../admin-client.ts';
import type { SidecarPlace } from '../admin-client.ts';
import { codeDocs, nearestCode } from '../code-docs.ts';
import { codeText, loggedText, recordedText } from '../decision-text.ts';
import { EXIT, ExitError } from '../exit.ts';
import type { ExitStatus } from '../exit.ts';
import { explainRecorded } from '../explain-recorded.ts';
import { reasonOf } from '../file-error.ts';
import { findLogged, recordedSchema, withoutSecrets } from '../recorded-decision.ts';
import type { LoggedDecision, RecordedDecision } from '../recorded-decision.ts';
import type { VerbStreams } from './verb.ts';

export interface ExplainOptions {
  readonly id: string;
  readonly admin?: string;
  readonly config?: string;
  /** Access log to look in. */
  readonly log?: string;
  readonly output: 'text' | 'json';
}

export async function explain(options: ExplainOptions, io: VerbStreams): Promise<ExitStatus> {
  const { id, output } = options;
  const docs = codeDocs(id);
  if (docs.length > 0) {
    io.stdout.write(output === 'json' ? `${JSON.stringify(docs, null, 2)}\n` : docs.map(codeText).join('\n'));
    return EXIT.ok;
  }
  if (LOOKS_LIKE_CODE.test(id)) {
    const nearest = nearestCode(id);
    throw new ExitError(
      EXIT.other,
      `Cannot explain "${id}": found no such code`,
      nearest === null ? null : `did you mean ${nearest}?`,
    );
  }

  const place = findSidecar(options);
  const { recorded, trouble } = await askRing(place, id);
  if (recorded !== null) {
    const explanation = explainRecorded(recorded);
    const { model: _, ...shown } = withoutSecrets(recorded);
    io.stdout.write(
      output === 'json'
        ? `${JSON.stringify({ ...shown, explanation }, null, 2)}\n`
        : recordedText(withoutSecrets(recorded), explanation),
    );
    return EXIT.ok;
  }
  const logged = options.log === undefined ? await askOwnLog(place, id) : await askLog(options.log, id);
  if (logged !== null) {
    io.stdout.write(output === 'json' ? `${JSON.stringify(logged, null, 2)}\n` : loggedText(logged));
    return EXIT.ok;
  }
  if (trouble !== null && (options.log === undefined || place.admin !== null)) throw trouble;
  throw new ExitError(
    EXIT.other,
    `Cannot explain "${id}": the sidecar no longer knows it and no access log has it`,
    options.log === undefined ? 'give the access log with --log FILE' : null,
  );
}

/** `trouble` is why the ring could not be asked; a log may still know. */
async function askRing(
  place: SidecarPlace,
  id: string,
): Promise<{ recorded: RecordedDecision | null; trouble: ExitError | null }> {
  if (place.admin === null) {
    const message = `Cannot explain "${id}": found neither --admin nor a file with spec.telemetry.admin`;
    return { recorded: null, trouble: new ExitError(EXIT.usage, message, `postern explain ${id} --admin SOCKET`) };
  }
  try {
    const answer = await askSidecar(place.admin, `/decisions/${encodeURIComponent(id)}`);
    return { recorded: answer === null ? null : recordedSchema.parse(answer), trouble: null };
  } catch (error) {
    if (error instanceof ExitError) return { recorded: null, trouble: error };
    throw new ExitError(EXIT.other, `Cannot read the sidecar's answer: found another form than this version knows`);
  }
}

async function askLog(file: string, id: string): Promise<LoggedDecision | null> {
  try {
    return await findLogged(file, id);
  } catch (error) {
    throw new ExitError(EXIT.other, `Cannot read the access log "${file}": found ${reasonOf(error)}`);
  }
}

/** The log that the configuration names, which may not be there, or be another process's standard output. */
async function askOwnLog({ config }: SidecarPlace, id: string): Promise<LoggedDecision | null> {
  const file = config?.telemetry.accessLog ?? null;
  if (file === null || file === '-' || !existsSync(file)) return null;
  return askLog(file, id);
}

/** Codes are words joined by underscores, or PN and four digits; ids hold a dash. */
const LOOKS_LIKE_CODE = /^(?:[a-z]+(?:_[a-z]+)+|PN\d+)$/u;
