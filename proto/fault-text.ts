/** A fault of a file as a line for its author. Loads nothing, so that the data process may print faults too. */
import type { DocumentFault } from './prepare.ts';

/** `file:line:column: what was found, what was wanted`, with the way out on a line of its own. */
export function formatFault(fault: DocumentFault): string {
  const place = fault.line === 0 ? fault.file : `${fault.file}:${fault.line}:${fault.column}`;
  const about = fault.path === '' ? fault.code : `${fault.path}, ${fault.code}`;
  const fix = fault.fix === null ? '' : `\n  fix: ${fault.fix}`;
  return `${place}: ${fault.message} (${about})${fix}`;
}
