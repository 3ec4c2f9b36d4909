/**
 * Values of metrics as plain data: gathered in one process, added up over several, written in Prometheus' text format (version 0.0.4).
 */

/**
 * By metric, each of its values under what stands between the metric's name and the value: '', `{reason="x"}` or
 * `_bucket{direction="inbound",le="1"}`.
 */
export type Samples = Readonly<Record<string, Readonly<Record<string, number>>>>;

type Labels = Readonly<Record<string, string>>;

/** One metric that is being filled. */
export class Series {
  readonly values: Record<string, number> = {};

  set(value: number): void;
  set(labels: Labels, value: number): void;
  set(labels: Labels | number, value = 0): void {
    if (typeof labels === 'number') this.values[''] = labels;
    else this.values[labelText(labels)] = value;
  }

  /** Adds to what is there under these labels. */
  inc(labels: Labels, value: number): void {
    const key = labelText(labels);
    this.values[key] = (this.values[key] ?? 0) + value;
  }
}

/** How the values of several processes become one. */
export type Merging = 'sum' | 'min' | 'max';

/** What several processes have counted, as one. */
export function mergeSamples(parts: readonly Samples[], merging: (metric: string) => Merging): Samples {
  const merged: Record<string, Record<string, number>> = {};
  for (const part of parts) {
    for (const [metric, values] of Object.entries(part)) {
      const into = (merged[metric] ??= {});
      const how = merging(metric);
      for (const [key, value] of Object.entries(values)) {
        const before = into[key];
        into[key] = before === undefined ? value : how === 'sum' ? before + value : Math[how](before, value);
      }
    }
  }
  return merged;
}

/** `{name="value",...}`, values escaped; '' without labels. */
export function labelText(labels: Labels): string {
  const parts = Object.entries(labels).map(([name, value]) => `${name}="${value.replace(/[\\"\n]/gu, escaped)}"`);
  return parts.length === 0 ? '' : `{${parts.join(',')}}`;
}

function escaped(character: string): string {
  return character === '\n' ? '\\n' : `\\${character}`;
}
