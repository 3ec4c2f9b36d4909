/**
 * One write per connection and turn of the event loop: whoever has gathered output asks to be called when everything that came in
 * this turn has been read. A caller with eight streams gets their answers in one TLS record and one system call. Hot path.
 */
import type { Socket } from 'node:net';
import { recycleOutput } from '#wire/h2/output.ts';

/** Something that writes what it has gathered when a turn ends. */
export interface TurnWriter {
  /** It is in the list already. */
  isDirty: boolean;
  turnEnds(): void;
}

/** Has `writer` called at the end of this turn, once. */
export function writeAtTurnEnd(writer: TurnWriter): void {
  if (writer.isDirty) return;
  writer.isDirty = true;
  dirty.push(writer);
  if (dirty.length === 1) setImmediate(endTurn);
}

/** What a session has gathered (wire/h2). */
export interface OutputSource {
  takeOutput(): Buffer | null;
}

/**
 * Writes what `source` has gathered, at most until the socket has enough, and takes buffers back as soon as Node is done with them.
 *
 * @returns whether the socket takes more
 */
export function writeOutput(socket: Socket, isTls: boolean, source: OutputSource): boolean {
  for (let output = source.takeOutput(); output !== null; output = source.takeOutput()) {
    if (socket.destroyed) return true;
    // A TLS write is encrypted, or copied, before `write` returns, unless it has to queue; a plain one is the kernel's when nothing is
    // left of it (io/outlet.ts).
    const isQueued = socket.writableLength !== 0 || socket.connecting;
    let takesMore: boolean;
    if (output.length > COPY_BYTES && (isQueued || !isTls)) {
      // One function for so many bytes, so that their buffer comes back.
      const large = output;
      takesMore = socket.write(large, () => recycleOutput(large));
    } else if (isQueued) {
      takesMore = socket.write(Buffer.from(output));
      recycleOutput(output);
    } else {
      takesMore = socket.write(output);
      if (isTls || socket.writableLength === 0) recycleOutput(output);
    }
    if (!takesMore) return false;
  }
  return true;
}

function endTurn(): void {
  // Whoever gets something to write by what is written now waits for the next turn.
  const due = dirty;
  dirty = spare;
  for (let index = 0; index < due.length; index++) {
    const writer = due[index];
    if (writer === undefined) continue;
    writer.isDirty = false;
    writer.turnEnds();
  }
  due.length = 0;
  spare = due;
}

/** Of what has to queue, a copy of so many bytes costs less than a buffer given away. */
const COPY_BYTES = 16 * 1024;

let dirty: TurnWriter[] = [];
/** The array of the turn before, to be filled again. */
let spare: TurnWriter[] = [];
