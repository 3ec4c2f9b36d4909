/** Writes the canonical target into the exchange, and down as the target to forward where it is not what was received. Hot path. */
import type { RequestHead } from '#wire/h1/head.ts';
import type { Exchange } from '../exchange.ts';
import type { CanonicalTarget } from './canonicalise.ts';
import { spells } from './head-facts.ts';

export function retarget(exchange: Exchange, head: RequestHead, target: CanonicalTarget): void {
  exchange.path = target.path;
  exchange.authority = target.authority;
  if (spells(head.bytes, head.targetStart, target.queryStart, target.path)) return;
  exchange.rewrittenTarget = target.path + head.bytes.toString('latin1', target.queryStart, target.queryEnd);
}
