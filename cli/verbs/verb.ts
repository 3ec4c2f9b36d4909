/**
 * What a verb is: a function from its options, already parsed by cli/commands, and the streams here to an exit status. A verb
 * module exports one, reads questions by `answerLines` (cli/json-lines.ts), writes nothing but answers to standard output, and
 * throws `ExitError` (cli/exit.ts) to end with a message. It is loaded only when it is called.
 */
import type { Writable } from 'node:stream';

import type { LineStreams } from '../json-lines.ts';

export interface VerbStreams extends LineStreams {
  /** For people: hints, progress, errors. */
  readonly stderr: Writable;
}
