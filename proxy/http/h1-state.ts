/** Where a caller's HTTP/1.1 connection stands. Hot path. */

export type H1State = 0 | 1 | 2 | 3 | 4 | 5;

/** Between requests, or within the head of one. */
export const HEAD = 0;
export const BODY = 1;
/** The request is complete, its response is not. */
export const WAITING = 2;
/** Our last bytes are being sent, or the caller's end is awaited. */
export const CLOSING = 3;
export const CLOSED = 4;
/** No longer HTTP: a WebSocket is open. */
export const TUNNEL = 5;
