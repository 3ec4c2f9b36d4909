/** What whoever carries exchanges tells of them: each one begins once and ends once, in one of three ways. Hot path. */
import type { Exchange } from '../exchange.ts';
import type { Failure } from '../failure.ts';
import type { Endpoint } from './endpoint.ts';

export interface Outcomes {
  begun(endpoint: Endpoint, exchange: Exchange): void;
  /** The response is complete; its status stands in the exchange. */
  answered(endpoint: Endpoint, exchange: Exchange): void;
  failed(endpoint: Endpoint, exchange: Exchange, failure: Failure): void;
  /** The caller needs it no more, or something else carries it. */
  givenUp(endpoint: Endpoint, exchange: Exchange): void;
}
