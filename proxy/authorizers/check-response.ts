/**
 * Reads Envoy's `envoy.service.auth.v3.CheckResponse` as an answer. Where Envoy takes nothing for a yes (a message without a status, an
 * answer that says OK and carries a denial), this takes it for no answer.
 */
import { lastCount, lastRun, readProto, runs, type ProtoField } from '#wire/protobuf/read.ts';
import type { Answer, Changes, Denial, FieldPair } from './authorizer.ts';
import { denialWith, mayChange } from './changes.ts';

/** @param framed  the message with the five bytes before it */
export function checkAnswer(framed: Buffer): Answer {
  if (framed.length < 5) return noAnswer('no_message');
  if (framed[0] !== 0) return noAnswer('compressed');
  if (framed.readUInt32BE(1) !== framed.length - 5) return noAnswer('message_length');
  const response = readProto(framed.subarray(5));
  const statusRun = response === null ? null : lastRun(response, 1);
  const status = statusRun === null ? null : readProto(statusRun);
  if (response === null || status === null) return noAnswer(response === null ? 'malformed' : 'no_status');
  const code = lastCount(status, 1);
  const deniedRun = lastRun(response, 2);
  const okRun = lastRun(response, 3);
  const errorRun = lastRun(response, 5);
  if (code === 0) {
    if (deniedRun !== null || errorRun !== null) return noAnswer('contradiction');
    return okRun === null ? { kind: 'allow', changes: null } : allowed(okRun);
  }
  if (errorRun !== null) return noAnswer('error_response');
  const denial = deniedRun === null ? null : denialOf(deniedRun);
  if (denial === undefined) return noAnswer('malformed');
  return { kind: 'deny', denial, detail: '' };
}

function allowed(run: Buffer): Answer {
  const ok = readProto(run);
  if (ok === null) return noAnswer('malformed');
  const set: FieldPair[] = [];
  const append: FieldPair[] = [];
  const seen = new Map<string, number>();
  for (const option of runs(ok, 2)) {
    const read = headerOption(option);
    if (read === null) return noAnswer('malformed');
    if (read.isAppended) append.push(read.pair);
    else {
      // The last one of a name counts.
      const at = seen.get(read.pair[0].toLowerCase());
      if (at === undefined) seen.set(read.pair[0].toLowerCase(), set.push(read.pair) - 1);
      else set[at] = read.pair;
    }
  }
  const changes: Changes = {
    set,
    append,
    // What may not be removed stays, as Host does in Envoy.
    remove: runs(ok, 5).map(textOf).filter(mayChange),
    respond: pairsOf(runs(ok, 6)) ?? [],
    setQuery: runs(ok, 7).flatMap((parameter) => parameterOf(parameter)),
    removeQuery: runs(ok, 8).map(textOf),
  };
  return { kind: 'allow', changes };
}

/** Undefined for what is none. */
function denialOf(run: Buffer): Denial | undefined {
  const denied = readProto(run);
  if (denied === null) return undefined;
  const statusRun = lastRun(denied, 1);
  const status = statusRun === null ? 0 : lastCount(readProto(statusRun) ?? [], 1);
  const pairs = pairsOf(runs(denied, 2));
  if (pairs === null) return undefined;
  return denialWith(isFinal(status) ? status : 403, pairs, lastRun(denied, 3) ?? Buffer.alloc(0));
}

export function isFinal(status: number): boolean {
  return Number.isInteger(status) && status >= 200 && status <= 599;
}

function pairsOf(options: readonly Buffer[]): readonly FieldPair[] | null {
  const read = options.map(headerOption);
  return read.every((one) => one !== null) ? read.map(({ pair }) => pair) : null;
}

/** HeaderValueOption; `append` is what Envoy 1.40 obeys, and `append_action` is passed over as there. */
function headerOption(run: Buffer): { readonly pair: FieldPair; readonly isAppended: boolean } | null {
  const option = readProto(run);
  const header = option === null ? null : readProto(lastRun(option, 1) ?? Buffer.alloc(0));
  if (option === null || header === null) return null;
  const appendRun = lastRun(option, 2);
  const isAppended = appendRun !== null && lastCount(readProto(appendRun) ?? [], 1) === 1;
  return { pair: [textOf(lastRun(header, 1)), valueOf(header)], isAppended };
}

function valueOf(header: readonly ProtoField[]): string {
  const raw = lastRun(header, 3);
  return textOf(raw !== null && raw.length > 0 ? raw : lastRun(header, 2)).trim();
}

function parameterOf(run: Buffer): FieldPair[] {
  const parameter = readProto(run);
  return parameter === null ? [] : [[textOf(lastRun(parameter, 1)), textOf(lastRun(parameter, 2))]];
}

/** One character a byte. */
function textOf(run: Buffer | null): string {
  return run === null ? '' : run.toString('latin1');
}

function noAnswer(detail: string): Answer {
  return { kind: 'none', code: 'provider_error', detail };
}
