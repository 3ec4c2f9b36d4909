import { describe, expect, test } from 'vitest';

import { METRICS, mergingOf, metricsText } from './metrics.ts';
import { labelText, mergeSamples, Series, type Samples } from './samples.ts';

describe('mergeSamples()', () => {
  test.each([
    { why: 'adds counters', metric: 'postern_requests_total', a: 2, b: 3, want: 5 },
    { why: 'takes the SVID that expires first', metric: 'postern_svid_expiry_timestamp_seconds', a: 20, b: 10, want: 10 },
    { why: 'takes the newest policy', metric: 'postern_policy_loaded_timestamp_seconds', a: 20, b: 10, want: 20 },
    { why: 'adds what it does not know', metric: 'unknown', a: 1, b: 1, want: 2 },
  ])('$why', ({ metric, a, b, want }) => {
    const parts: Samples[] = [{ [metric]: { '{x="1"}': a } }, { [metric]: { '{x="1"}': b, '{x="2"}': 7 } }];
    expect(mergeSamples(parts, mergingOf)).toEqual({ [metric]: { '{x="1"}': want, '{x="2"}': 7 } });
  });

  test('leaves its parts as they are', () => {
    const part: Samples = { a: { '': 1 } };
    mergeSamples([part, part], mergingOf);
    expect(part).toEqual({ a: { '': 1 } });
  });
});

describe('metricsText()', () => {
  test('writes each metric of the table once, with its type, and every series of it', () => {
    const text = metricsText({
      postern_requests_total: { [labelText({ direction: 'inbound', status: '200' })]: 3 },
      postern_connections_open: { '': 4 },
      postern_request_duration_seconds: { '_bucket{le="1"}': 1, _count: 1 },
    });
    expect(text).toContain('# TYPE postern_requests_total counter\npostern_requests_total{direction="inbound",status="200"} 3\n');
    expect(text).toContain('# TYPE postern_connections_open gauge\npostern_connections_open 4\n');
    expect(text).toContain(
      '# TYPE postern_request_duration_seconds histogram\npostern_request_duration_seconds_bucket{le="1"} 1\n',
    );
    expect(text.match(/^# HELP /gmu)).toHaveLength(Object.keys(METRICS).length);
  });

  test('escapes what a label may hold', () => {
    const series = new Series();
    series.inc({ policy: 'a"b\\c\nd' }, 2);
    series.inc({ policy: 'a"b\\c\nd' }, 3);
    expect(series.values).toEqual({ '{policy="a\\"b\\\\c\\nd"}': 5 });
  });
});
