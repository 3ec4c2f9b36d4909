/**
 * Every idle upstream connection of the process, the one idle for longest first, so that their number is bounded over all pools.
 * Linked through the connections themselves: two changes per request allocate and hash nothing. Hot path.
 */

/** A connection that can stand in the list; in one list only. */
export interface IdleConnection {
  idlePrevious: IdleConnection | null;
  idleNext: IdleConnection | null;
  isListedIdle: boolean;
  /** Ends it because the bound was reached. */
  evict(): void;
}

export class IdleConnections {
  size = 0;
  /** How often the bound closed a connection. */
  evictions = 0;
  readonly #limit: number;
  #oldest: IdleConnection | null = null;
  #newest: IdleConnection | null = null;

  constructor(limit: number) {
    this.#limit = limit;
  }

  add(connection: IdleConnection): void {
    connection.isListedIdle = true;
    connection.idlePrevious = this.#newest;
    connection.idleNext = null;
    if (this.#newest === null) this.#oldest = connection;
    else this.#newest.idleNext = connection;
    this.#newest = connection;
    this.size++;
    if (this.size <= this.#limit || this.#oldest === null) return;
    this.evictions++;
    this.#oldest.evict();
  }

  remove(connection: IdleConnection): void {
    if (!connection.isListedIdle) return;
    connection.isListedIdle = false;
    const { idlePrevious, idleNext } = connection;
    if (idlePrevious === null) this.#oldest = idleNext;
    else idlePrevious.idleNext = idleNext;
    if (idleNext === null) this.#newest = idlePrevious;
    else idleNext.idlePrevious = idlePrevious;
    connection.idlePrevious = null;
    connection.idleNext = null;
    this.size--;
  }
}
