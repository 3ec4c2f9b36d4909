/** A head as plain data, to compare heads that different readers made. */
import { RequestHead, type ResponseHead } from '#wire/h1/head.ts';

/** Everything that a head says, offsets from its start. */
export function describeHead(head: RequestHead | ResponseHead): Record<string, unknown> {
  const { contentLength, fields, framing, hasConnectionOptions, hasUpgrade, isPersistent, minor, start } = head;
  return {
    contentLength,
    framing,
    hasConnectionOptions,
    hasUpgrade,
    isPersistent,
    minor,
    fieldsStart: head.fieldsStart - start,
    end: head.end - start,
    ranges: [...fields.ranges.subarray(0, 4 * fields.count)].map((offset) => offset - start),
    ids: [...fields.ids.subarray(0, fields.count)],
    dropped: [...fields.dropped.subarray(0, fields.count)],
    hasUnderscore: fields.hasUnderscore,
    ...(head instanceof RequestHead
      ? {
          method: head.method,
          target: [head.targetStart - start, head.targetEnd - start],
          host: [head.hostIndex, head.hostCount],
          expectsContinue: head.expectsContinue,
        }
      : { status: head.status, reason: [head.reasonStart - start, head.reasonEnd - start] }),
  };
}
