/** What rules ask of a token's issuer or subject, as patterns on both at once: issuer, 0xff, subject. */
import { asBytePattern } from '../plan/patterns.ts';
import type { Pattern } from '../plan/patterns.ts';
import { oneByte, runOfBytes } from '../plan/regex/byte-pattern.ts';
import { without } from './identity-patterns.ts';
import { textOf } from './pattern-text.ts';

/** @param inexact  called when a pattern could not be said exactly */
export function onUser(part: 'issuer' | 'subject', patterns: readonly Pattern[], inexact: () => void): readonly Pattern[] {
  return patterns.map((pattern): Pattern => {
    if (part === 'issuer' && pattern.form === 'exact') return { form: 'prefix', text: `${pattern.text}${SEPARATOR}` };
    if (part === 'subject' && pattern.form === 'exact') return { form: 'suffix', text: `${SEPARATOR}${pattern.text}` };
    // A subject that is there is not empty.
    const wanted: Pattern = pattern.form === 'present' ? { form: 'filled' } : pattern;
    const value = without(asBytePattern(wanted), 0xff, inexact);
    const of = part === 'issuer' ? [value, oneByte(0xff), runOfBytes(0)] : [runOfBytes(0), oneByte(0xff), value];
    return { form: 'bytes', key: `${part} ${textOf(pattern)}`, pattern: { kind: 'sequence', of } };
  });
}

const SEPARATOR = '\xff';
