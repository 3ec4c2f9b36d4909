/**
 * Exit statuses of the `postern` command (sysexits.h, with istioctl's 79 for findings), and the error that carries one. Library
 * code never ends the process: it returns a status or throws, and bin decides.
 */

export const EXIT = {
  ok: 0,
  other: 1,
  usage: 64,
  data: 65,
  unreachable: 69,
  internal: 70,
  notPermitted: 77,
  configuration: 78,
  findings: 79,
} as const;

export type ExitStatus = (typeof EXIT)[keyof typeof EXIT];

/** Ends a command at once with a status of its own; the message goes to standard error. */
export class ExitError extends Error {
  readonly status: ExitStatus;
  readonly hint: string | null;

  constructor(status: ExitStatus, message: string, hint: string | null = null) {
    super(message);
    this.name = 'ExitError';
    this.status = status;
    this.hint = hint;
  }
}
