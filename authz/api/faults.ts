/** What can be wrong with the description of an API, or deserves a look. The text of a message may change, its code may not. */

export interface ApiFault {
  readonly code: ApiFaultCode;
  readonly file: string;
  /** Path within the description: `paths./orders/{id}.get`; '' for the description as a whole. */
  readonly where: string;
  /** What was found and what was wanted. */
  readonly message: string;
  readonly fix: string | null;
}

/** Gathers the faults of one file. */
export class ApiFaults {
  readonly file: string;
  readonly list: ApiFault[] = [];

  constructor(file: string) {
    this.file = file;
  }

  add(code: ApiFaultCode, where: string, message: string, fix: string | null = null): void {
    // What holds of a whole description is found again with each operation.
    const isKnown = this.list.some((known) => known.code === code && known.where === where && known.message === message);
    if (!isKnown && this.list.length < MAX_FAULTS) this.list.push({ code, file: this.file, where, message, fix });
  }
}

/** Whether a description with this fault is refused; the others are told by `api lint` alone. */
export function isRefusal({ code }: ApiFault): boolean {
  return API_FAULTS[code].severity === 'error';
}

/** Every code, how grave it is, and what it says. */
export const API_FAULTS = {
  api_unreadable: { severity: 'error', meaning: 'The file cannot be read or is no YAML, JSON or .proto.' },
  api_too_large: { severity: 'error', meaning: 'The description exceeds a bound: bytes, files, operations.' },
  api_invalid: { severity: 'error', meaning: 'The description does not follow its own specification.' },
  api_version: { severity: 'error', meaning: 'The version of the specification is none of OpenAPI 2.0, 3.0 and 3.1.' },
  api_reference_remote: { severity: 'error', meaning: 'A reference leads to another host.' },
  api_reference_outside: { severity: 'error', meaning: 'A reference or import leads out of the folder of the description.' },
  api_import_missing: { severity: 'error', meaning: 'An imported file is not there.' },
  api_path_malformed: { severity: 'error', meaning: 'A path can be no path of a request in canonical form.' },
  api_path_partial: { severity: 'error', meaning: 'A parameter is only a part of a segment of its path.' },
  api_path_ambiguous: { severity: 'error', meaning: 'Requests fit two operations, neither of which is the more specific.' },
  api_path_meaning: { severity: 'error', meaning: 'The path meaning of an operation is unknown.' },
  api_path_meaning_conflict: {
    severity: 'error',
    meaning: 'Two operations that share paths differ in what an encoded slash means.',
  },
  api_server_malformed: { severity: 'error', meaning: 'The URL of a server cannot be read.' },
  api_operation_id: { severity: 'error', meaning: 'The id of an operation is taken, or is no name.' },
  api_operation_unnamed: { severity: 'warning', meaning: 'An operation has no operationId, and is named by method and path.' },
  api_operation_open: { severity: 'warning', meaning: 'An operation asks for no security, where the description knows schemes.' },
  api_servers_several: { severity: 'warning', meaning: 'An operation lies below several base paths and has a name for each.' },
  api_server_variable: { severity: 'warning', meaning: 'A variable of a server without an enum is taken at its default.' },
  api_parameter_unchecked: { severity: 'warning', meaning: 'A parameter asks for something that is not checked.' },
  api_empty: { severity: 'warning', meaning: 'The description has no operation.' },
} as const satisfies Record<string, { readonly severity: 'error' | 'warning'; readonly meaning: string }>;

export type ApiFaultCode = keyof typeof API_FAULTS;

/** A file of nonsense would otherwise be told at length. */
const MAX_FAULTS = 200;
