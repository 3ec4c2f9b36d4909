/**
 * Ends a connection so that its peer can't take what it got for all there is: by a reset. An orderly end completes a body that has no
 * length, and half a message may look like a whole one.
 */
import type { Socket } from 'node:net';

/** Resets `socket`, the TCP connection below it when it is a TLS server's; what waits to be sent is lost. */
export function resetConnection(socket: Socket): void {
  if (socket.destroyed) return;
  // A TLS socket has no reset of its own; Node shows the one below it under this name only.
  const below = (socket as Socket & { readonly _parent?: Socket | null })._parent ?? socket;
  try {
    below.resetAndDestroy();
  } catch {
    // A Unix socket knows no reset.
  }
  socket.destroy();
}
