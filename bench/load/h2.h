/* Frames of HTTP/2 (RFC 9113) as the load generator and the app of the gRPC scenario need them; see load-h2.c for what is left out. */
#ifndef H2_H
#define H2_H
#include <stdint.h>
#include <string.h>

enum frame { DATA = 0, HEADERS = 1, RST_STREAM = 3, SETTINGS = 4, PING = 6, GOAWAY = 7, WINDOW_UPDATE = 8, CONTINUATION = 9 };
enum { END_STREAM = 1, ACK = 1, END_HEADERS = 4, PADDED = 8, PRIORITY = 0x20 };

#define PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
#define PREFACE_LENGTH 24
#define FRAME_HEAD 9

static inline uint32_t read_u32(const uint8_t *p) {
  return (uint32_t)p[0] << 24 | p[1] << 16 | p[2] << 8 | p[3];
}

static inline int frame_length(const uint8_t *p) {
  return p[0] << 16 | p[1] << 8 | p[2];
}

static inline uint8_t *put_u32(uint8_t *p, uint32_t value) {
  p[0] = value >> 24, p[1] = value >> 16, p[2] = value >> 8, p[3] = value;
  return p + 4;
}

static inline uint8_t *put_frame(uint8_t *p, int length, enum frame type, int flags, uint32_t stream) {
  p[0] = length >> 16, p[1] = length >> 8, p[2] = length, p[3] = type, p[4] = flags;
  return put_u32(p + 5, stream);
}

/* One setting of 6 bytes. */
static inline uint8_t *put_setting(uint8_t *p, int id, uint32_t value) {
  p[0] = id >> 8, p[1] = id;
  return put_u32(p + 2, value);
}

/* A length or text of HPACK (RFC 7541, 5.1 and 5.2) without Huffman; up to 127 + 127 bytes in one more octet. */
static inline uint8_t *put_text(uint8_t *p, const char *text, int length) {
  if (length < 127) *p++ = length;
  else {
    *p++ = 127;
    int rest = length - 127;
    for (; rest >= 128; rest >>= 7) *p++ = 128 | (rest & 127);
    *p++ = rest;
  }
  memcpy(p, text, length);
  return p + length;
}
#endif
