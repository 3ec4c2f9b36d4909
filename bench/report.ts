/** Turns rows into what is printed and kept: medians with ranges, ratios of windows of the same round, bars met or missed. */
import type { MemoryRow, Outcome, Row } from './measure.ts';
import { BARS, type Bar, entrantName } from './scenarios.ts';

export interface BarResult {
  readonly bar: string;
  readonly atMost: number;
  readonly found: number | null;
  readonly range: readonly [number, number] | null;
}

/** A Markdown table of one scenario. */
export function scenarioTable(outcome: Outcome): string {
  const { measure } = outcome.scenario;
  if (measure === 'memory') return memoryTable(outcome);
  const subject = [...outcome.rows].find(([name]) => name.startsWith('postern'));
  const unit = measure === 'handshakes' ? 'us/handshake' : 'us/request';
  const head = [
    'entrant',
    `CPU ${unit}`,
    'user / sys',
    ...(measure === 'rate' ? ['p50 us', 'p99 us'] : ['per second']),
    'RSS MB',
  ];
  head.push('Postern / it', 'waited', 'foreign', 'bad');
  const lines = [...outcome.rows].map(([name, rows]) => {
    const of = (pick: (row: Row) => number): number[] => rows.map(pick);
    const isFloor = name === 'no proxy';
    const cells = [
      name,
      isFloor ? '-' : spread(of((row) => row.cpu)),
      isFloor ? '-' : `${round(median(of((row) => row.userUs)))} / ${round(median(of((row) => row.systemUs)))}`,
      ...(measure === 'rate'
        ? [spread(of((row) => row.p50)), spread(of((row) => row.p99))]
        : [round(median(of((row) => row.perSecond)), 0)]),
      isFloor ? '-' : round(median(of((row) => row.rssMb)), 0),
      isFloor || subject === undefined || subject[0] === name ? '-' : spread(ratios(subject[1], rows, 'cpu'), 2),
      percent(median(of((row) => row.waited))),
      `${percent(median(of((row) => row.foreign)))}${median(of((row) => row.foreign)) > NOISY && measure !== 'rate' ? ' NOISY' : ''}`,
      badCell(rows),
    ];
    return `| ${cells.join(' | ')} |`;
  });
  return [`| ${head.join(' | ')} |`, `|${'---|'.repeat(head.length)}`, ...lines].join('\n');
}

/** What the charter asks, as far as this run can say. */
export function barResults(outcomes: readonly Outcome[]): BarResult[] {
  return BARS.flatMap((bar): BarResult[] => {
    const outcome = outcomes.find((one) => one.scenario.name === bar.scenario);
    if (outcome === undefined) return [];
    const found = figures(outcomes, outcome, bar);
    const name = `${bar.scenario}: ${bar.figure} of ${entrantName(bar.subject)}${bar.peer === null ? '' : ` / ${entrantName(bar.peer)}${bar.peer.scenario === undefined ? '' : ` in ${bar.peer.scenario}`}`}`;
    if (found.length === 0) return [{ bar: name, atMost: bar.atMost, found: null, range: null }];
    return [{ bar: name, atMost: bar.atMost, found: median(found), range: [Math.min(...found), Math.max(...found)] }];
  });
}

export function barTable(results: readonly BarResult[]): string {
  const lines = results.map(({ bar, atMost, found, range }) => {
    const digits = atMost >= 10 ? 0 : atMost < 0.1 ? 4 : 2;
    const verdict = found === null ? 'not measured' : found <= atMost ? 'met' : 'MISSED';
    const shown =
      found === null || range === null ? '-' : `${round(found, digits)} [${round(range[0], digits)}-${round(range[1], digits)}]`;
    return `| ${bar} | <= ${atMost} | ${shown} | ${verdict} |`;
  });
  return ['| bar | wanted | found | |', '|---|---|---|---|', ...lines].join('\n');
}

/** What the machine did beside the run, in one line. */
export function noiseLine(outcomes: readonly Outcome[]): string {
  const rows = outcomes.flatMap((one) => [...one.rows.values()].flat());
  const of = (pick: (row: Row) => number): string => percent(median(rows.map(pick)));
  return `noise, medians over ${rows.length} windows: CPU pressure ${round(median(rows.map((row) => row.pressure)), 0)} %, foreign share of the proxy's core ${of((row) => row.foreign)}, proxies waited ${of((row) => row.waited)}`;
}

function figures(outcomes: readonly Outcome[], outcome: Outcome, bar: Bar): number[] {
  const { figure, peer } = bar;
  if (figure === 'startCpuMs' || figure === 'idleRssMb' || figure === 'connectionKb') {
    return (outcome.memory.get(entrantName(bar.subject)) ?? []).map((row) => row[figure]);
  }
  const subject = outcome.rows.get(entrantName(bar.subject)) ?? [];
  if (peer === null) return subject.map((row) => row[figure]);
  const scenario = peer.scenario ?? bar.scenario;
  const other = outcomes.find((one) => one.scenario.name === scenario)?.rows.get(entrantName(peer)) ?? [];
  return ratios(subject, other, figure);
}

function ratios(subject: readonly Row[], peer: readonly Row[], figure: 'cpu' | 'p50' | 'p99'): number[] {
  return subject.flatMap((row) => {
    const beside = peer.find((one) => one.round === row.round);
    return beside === undefined ? [] : [row[figure] / beside[figure]];
  });
}

function memoryTable(outcome: Outcome): string {
  const head = [
    'entrant',
    'start to ready ms (CPU ms: all, own)',
    'idle RSS MB (anonymous)',
    'with 100 connections',
    'with the rest',
    'kB per connection',
    'after close',
    'the rest',
  ];
  const lines = [...outcome.memory].map(([name, rows]) => {
    const of = (pick: (row: MemoryRow) => number, digits = 0): string => round(median(rows.map(pick)), digits);
    const cells = [
      name,
      `${of((row) => row.startMs)} (${of((row) => row.startCpuMs)}, ${of((row) => row.startOwnCpuMs)})`,
      `${of((row) => row.idleRssMb, 1)} (${of((row) => row.idleAnonymousMb, 1)})`,
      of((row) => row.usedRssMb, 1),
      of((row) => row.loadedRssMb, 1),
      spread(rows.map((row) => row.connectionKb)),
      of((row) => row.closedRssMb, 1),
      of((row) => row.connections),
    ];
    return `| ${cells.join(' | ')} |`;
  });
  return [`| ${head.join(' | ')} |`, `|${'---|'.repeat(head.length)}`, ...lines].join('\n');
}

function badCell(rows: readonly Row[]): string {
  const bad = rows.reduce((sum, row) => sum + row.bad, 0);
  const reopened = rows.reduce((sum, row) => sum + row.reopened, 0);
  const first = rows.find((row) => row.badStatus !== 0)?.badStatus;
  return `${bad}${first === undefined ? '' : ` (first ${first})`}${reopened === 0 ? '' : `, ${reopened} reopened`}`;
}

function median(values: readonly number[]): number {
  const sorted = values.filter(Number.isFinite).toSorted((a, b) => a - b);
  const upper = sorted[sorted.length >> 1];
  const lower = sorted[(sorted.length - 1) >> 1];
  return upper === undefined || lower === undefined ? Number.NaN : (upper + lower) / 2;
}

function spread(values: readonly number[], digits = 1): string {
  const finite = values.filter(Number.isFinite);
  return finite.length === 0
    ? '-'
    : `${round(median(finite), digits)} [${round(Math.min(...finite), digits)}-${round(Math.max(...finite), digits)}]`;
}

function round(value: number, digits = 1): string {
  if (!Number.isFinite(value)) return '-';
  return value.toFixed(value >= 1000 ? 0 : digits);
}

function percent(share: number): string {
  return `${round(share * 100, 0)} %`;
}

/** Above this share of the proxy's core in foreign hands a figure of CPU is not worth quoting. */
const NOISY = 0.1;
