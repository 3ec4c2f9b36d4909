/** Which failure a fault of the wire codec is. */
import type { WireFault } from '#wire/h1/head.ts';
import type { Failure } from '../failure.ts';

export function headFailure(fault: WireFault): Failure {
  switch (fault) {
    case 'version':
      return 'unsupported_version';
    case 'transfer_coding':
      return 'unsupported_coding';
    case 'expectation':
      return 'expectation_failed';
    case 'head_too_large':
    case 'too_many_fields':
      return 'head_too_large';
    case 'method':
      return 'bad_method';
    case 'target':
      return 'bad_path';
    default:
      return 'bad_request';
  }
}
