/** Patterns as texts, to tell equal ones. */
import type { Pattern } from '../plan/patterns.ts';

/** One text for equal patterns. */
export function textOf(pattern: Pattern): string {
  switch (pattern.form) {
    case 'bytes':
      return pattern.key;
    case 'template':
      return `template ${pattern.segments.join('/')}`;
    case 'present':
    case 'filled':
      return pattern.form;
    default:
      return `${pattern.form} ${pattern.text}`;
  }
}
