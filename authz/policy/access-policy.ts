/**
 * Reads AccessPolicy and ClusterAccessPolicy of `security.postern.mesh/v1alpha1`: the grammar is close to Istio's, the logic is
 * strict (see expression.ts). A ClusterAccessPolicy hangs on a node of the namespace tree and flows down from there.
 */
import type { FaultList, FieldReader } from './fields.ts';
import { readMetadata, readSelector, refuseTargets } from './metadata.ts';
import type { Action, Mode, Policy, Position, Scope } from './model.ts';
import { readStrictRules } from './strict-rules.ts';
import { DAYS, readMinutes, readTimeMs, windowsOf } from './times.ts';
import { isTreePath } from './tree.ts';
import type { Validity, WeeklyWindow } from './validity.ts';

/** The policy, or null when `faults` says why not. */
export function readAccessPolicy(document: FieldReader, faults: FaultList): Policy | null {
  return readPolicy(document, faults, false)?.policy ?? null;
}

export interface ClusterPolicy {
  readonly policy: Policy;
  /** It demands mutual TLS of everything below its node. */
  readonly isStrictMtls: boolean;
}

export function readClusterAccessPolicy(document: FieldReader, faults: FaultList): ClusterPolicy | null {
  return readPolicy(document, faults, true);
}

function readPolicy(document: FieldReader, faults: FaultList, isCluster: boolean): ClusterPolicy | null {
  const before = faults.faults.length;
  const metadata = readMetadata(document, faults);
  const { name, namespace } = metadata;
  if (isCluster && namespace !== null) {
    const fix = 'Say spec.scope.path instead';
    const message = 'Cannot read the policy: a ClusterAccessPolicy is of no namespace';
    faults.add('PN0205', document.position, 'metadata.namespace', message, fix);
  }
  const spec = document.map('spec');
  document.finish();
  if (spec === null) {
    faults.add('PN0204', document.position, 'spec', 'Cannot read the policy: spec is missing');
    return null;
  }
  const mode: Mode = spec.word('mode', ['enforce', 'audit', 'learn']) ?? 'enforce';
  // A policy that only demands mutual TLS is a DENY that denies nothing.
  const otherwise = isCluster && spec.hasValue('mtls') && !spec.hasValue('rules') ? 'DENY' : 'ALLOW';
  const action: Action = spec.word('action', ['ALLOW', 'DENY', 'AUDIT'], 'PN0207') ?? otherwise;
  const api = readApi(spec, namespace, faults);
  const rules = readStrictRules(spec, { namespace: isCluster ? null : namespace, api }, faults);
  const selector = readSelector(spec, faults);
  refuseTargets(spec, faults);
  const validity = readValidity(spec, faults);
  const isStrictMtls = isCluster && spec.word('mtls', ['STRICT', 'PERMISSIVE']) === 'STRICT';
  const scope = isCluster ? readScope(spec, action, faults) : null;
  checkRules(spec, action, rules.length, isStrictMtls, faults);
  spec.finish();
  if (faults.faults.length > before || name === null) return null;
  const position = document.position;
  const base = { namespace, name, action, mode, provider: null, scope, validity, selector };
  return { policy: { ...base, isForGateways: false, rules, position }, isStrictMtls };
}

/** Rules may be left out where ALLOW without a rule is meant, or where the policy only demands mutual TLS. */
function checkRules(spec: FieldReader, action: Action, count: number, isStrictMtls: boolean, faults: FaultList): void {
  if (count > 0 || isStrictMtls || action === 'ALLOW') return;
  const message = `Cannot read the policy: a ${action} policy without rules never applies`;
  faults.add('PN0210', spec.position, spec.at('rules'), message, 'To match everything write rules: [{}]');
}

function readApi(spec: FieldReader, namespace: string | null, faults: FaultList): string | null {
  const reference = spec.map('apiRef');
  if (reference === null) return null;
  const name = reference.text('name');
  const within = reference.hasValue('namespace') ? reference.text('namespace') : namespace;
  if (name === null || name === '') {
    faults.add('PN0204', reference.position, reference.at('name'), 'Cannot read apiRef: its name is missing');
  }
  reference.finish();
  return `${within ?? ''}/${name ?? ''}`;
}

function readScope(spec: FieldReader, action: Action, faults: FaultList): Scope {
  const reader = spec.map('scope');
  const path = reader === null ? '/' : (reader.text('path') ?? '/');
  reader?.finish();
  if (!isTreePath(path)) {
    const at = reader ?? spec;
    faults.add('PN0318', at.where('path'), at.at('path'), `Cannot read the path "${path}"`, 'Write it like / or /acme/prod');
  }
  const tier = spec.word('tier', ['Admin', 'Baseline']);
  const said = spec.word('inheritance', ['must', 'ceiling', 'default']);
  const byTier = tier === null ? null : tier === 'Admin' ? 'must' : 'default';
  if (said !== null && byTier !== null && said !== byTier) {
    const message = `Cannot read inheritance: tier ${String(tier)} means ${byTier}`;
    faults.add('PN0205', spec.where('inheritance'), spec.at('inheritance'), message, 'Write one of the two');
  }
  const inheritance = said ?? byTier ?? (action === 'ALLOW' ? null : 'must');
  if (inheritance === null) {
    const message = 'Cannot read the policy: how an ALLOW flows down is not said';
    const fix = 'Write inheritance: must, ceiling or default';
    faults.add('PN0204', spec.position, spec.at('inheritance'), message, fix);
  }
  if (inheritance === 'ceiling' && action !== 'ALLOW') {
    const message = 'Cannot read inheritance: a ceiling says what is allowed at most';
    faults.add('PN0205', spec.where('action'), spec.at('action'), message, 'Write action: ALLOW, or inheritance: must');
  }
  const priority = spec.integer('priority', 0, MAX_PRIORITY) ?? MAX_PRIORITY;
  return { path, inheritance: inheritance ?? 'must', priority };
}

function readValidity(spec: FieldReader, faults: FaultList): Validity | null {
  const notBeforeMs = readTime(spec, 'notBefore', faults);
  const expiresMs = readTime(spec, 'expires', faults);
  const windows = readSchedule(spec, faults);
  if (notBeforeMs !== null && expiresMs !== null && expiresMs <= notBeforeMs) {
    faults.add('PN0315', spec.where('expires'), spec.at('expires'), 'Cannot read expires: it lies before notBefore');
  }
  return notBeforeMs === null && expiresMs === null && windows.length === 0 ? null : { notBeforeMs, expiresMs, windows };
}

function readTime(spec: FieldReader, name: string, faults: FaultList): number | null {
  const text = spec.hasValue(name) ? spec.text(name) : null;
  const time = text === null ? null : readTimeMs(text);
  if (text !== null && time === null) {
    wrongTime(faults, name, text, spec.where(name), spec.at(name), 'Write it like 2026-12-31T23:00:00Z, in quotes');
  }
  spec.pass(name);
  return time;
}

function readSchedule(spec: FieldReader, faults: FaultList): readonly WeeklyWindow[] {
  const readers = spec.maps('schedule');
  if (spec.hasValue('schedule') && readers.length === 0) {
    faults.add('PN0203', spec.where('schedule'), spec.at('schedule'), 'Cannot read schedule: it is empty');
  }
  spec.word('timeZone', ['UTC'], 'PN0315');
  return readers.flatMap((window) => {
    const days: number[] = [];
    window.texts('days', (text, at, path) => {
      const day = DAYS.findIndex((name) => name === text);
      if (day < 0) wrongTime(faults, 'days', text, at, path, `Known: ${DAYS.join(', ')}`);
      else days.push(day);
    });
    const edge = (name: string, otherwise: number): number => {
      const text = window.hasValue(name) ? window.text(name) : null;
      window.pass(name);
      const minutes = text === null ? otherwise : readMinutes(text);
      if (minutes === null) wrongTime(faults, name, text ?? '', window.where(name), window.at(name), 'Write it like "08:30"');
      return minutes ?? otherwise;
    };
    const [from, to] = [edge('from', 0), edge('to', END_OF_DAY)];
    window.finish();
    return windowsOf(days.length === 0 ? DAYS.map((_, day) => day) : days, from, to);
  });
}

function wrongTime(faults: FaultList, name: string, text: string, at: Position, path: string, fix: string): void {
  faults.add('PN0315', at, path, `Cannot read ${name}: found "${text}"`, fix);
}

const MAX_PRIORITY = 1000;
const END_OF_DAY = 1_440;
