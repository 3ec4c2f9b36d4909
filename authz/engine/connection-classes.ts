/** The classes of a connection's attributes, found once and put back in place for each of its requests. */
import type { CompiledSlot, SlotSource } from '../plan/compiled.ts';
import { isExcessive, readIdentity } from './identity.ts';
import type { Identity } from './identity.ts';
import type { ConnectionAttributes } from './input.ts';
import type { ValueWriter } from './value-writer.ts';

export class ConnectionClassifier {
  readonly #writer: ValueWriter;
  readonly #slots: readonly CompiledSlot[];
  readonly #trustDomains: readonly string[];

  constructor(writer: ValueWriter, slots: readonly CompiledSlot[], trustDomains: readonly string[]) {
    this.#writer = writer;
    this.#slots = slots.filter(({ source }) => isConnectionKind(source.kind));
    this.#trustDomains = trustDomains;
  }

  /**
   * Index and value of each word to set: of a list its length and as many values. Null for a connection that says more than a cell
   * can hold, or nothing that could be believed.
   */
  classify(connection: ConnectionAttributes): Int32Array | null {
    this.#writer.reset();
    const { principal } = connection;
    if (principal !== null && isExcessive(principal)) return null;
    const identity = principal === null ? null : readIdentity(principal, this.#trustDomains);
    for (const slot of this.#slots) {
      this.#writer.clear(slot);
      this.#write(slot, connection, identity);
    }
    return this.#writer.hasOverflown ? null : this.#pairs();
  }

  #write(slot: CompiledSlot, connection: ConnectionAttributes, identity: Identity | null): void {
    const { source } = slot;
    switch (source.kind) {
      case 'principal':
        this.#text(slot, identity?.principal ?? null);
        break;
      case 'trustDomain':
        this.#text(slot, identity?.trustDomain ?? null);
        break;
      case 'namespace':
        this.#text(slot, identity?.namespace ?? null);
        break;
      case 'account':
        this.#text(slot, identity?.account ?? null);
        break;
      case 'anyNamespace':
        for (const namespace of identity?.anyNamespaces ?? []) this.#writer.text(slot, namespace);
        break;
      case 'anyAccount':
        for (const account of identity?.anyAccounts ?? []) this.#writer.text(slot, account);
        break;
      case 'sourceIp':
        this.#writer.ip(slot, connection.sourceIp);
        break;
      case 'remoteIp':
        this.#writer.ip(slot, connection.remoteIp);
        break;
      case 'destinationIp':
        this.#writer.ip(slot, connection.destinationIp);
        break;
      case 'destinationPort':
        this.#writer.port(slot, connection.destinationPort);
        break;
      case 'sni':
        this.#text(slot, connection.sni === null ? null : connection.sni.toLowerCase());
        break;
      case 'tls':
        this.#writer.text(slot, String(connection.tls));
        break;
      case 'protocol':
        this.#writer.text(slot, connection.protocol);
        break;
      case 'tag':
        this.#tags(slot, `${source.name}=`, connection.tags ?? []);
        break;
      default:
        throw new Error('a slot of requests is among those of connections');
    }
  }

  #text(slot: CompiledSlot, value: string | null): void {
    if (value !== null) this.#writer.text(slot, value);
  }

  #tags(slot: CompiledSlot, start: string, tags: readonly string[]): void {
    for (const tag of tags) if (tag.startsWith(start)) this.#writer.text(slot, tag.slice(start.length));
  }

  #pairs(): Int32Array {
    const { cells } = this.#writer;
    const pairs: number[] = [];
    for (const { cellEnd, cellStart, listCells } of this.#slots) {
      for (const start of listCells) {
        const length = cells[start] ?? 0;
        for (let index = start; index <= start + length; index++) pairs.push(index, cells[index] ?? 0);
      }
      if (listCells.length === 0) for (let index = cellStart; index < cellEnd; index++) pairs.push(index, cells[index] ?? 0);
    }
    return Int32Array.from(pairs);
  }
}

function isConnectionKind(kind: SlotSource['kind']): boolean {
  return CONNECTION_KINDS.has(kind);
}

const CONNECTION_KINDS: ReadonlySet<SlotSource['kind']> = new Set([
  'principal',
  'trustDomain',
  'namespace',
  'account',
  'anyNamespace',
  'anyAccount',
  'sourceIp',
  'remoteIp',
  'destinationIp',
  'destinationPort',
  'sni',
  'tls',
  'protocol',
  'tag',
]);
