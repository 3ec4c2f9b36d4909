/*
 * The app of the gRPC scenario: HTTP/2 in plaintext on loopback, prior knowledge. Answers every call with one message of 100
 * bytes and grpc-status 0, whatever was asked. One thread, one epoll loop. Reads frames to find where requests end and nothing else.
 *
 *   grpc-app PORT
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include "identities.h"
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <unistd.h>
#include "h2.h"

enum { IN_BYTES = 1 << 18, OUT_BYTES = 1 << 18, MESSAGE = 100 };

struct connection {
  int fd, has_preface, has_first, in_length, out_length;
  long consumed;
  uint8_t in[IN_BYTES], out[OUT_BYTES];
};

static void flush(struct connection *c) {
  for (int sent = 0; sent < c->out_length;) {
    int n = (int)write(c->fd, c->out + sent, c->out_length - sent);
    if (n < 0 && errno == EAGAIN) {
      usleep(100);
      continue;
    }
    if (n <= 0) break;
    sent += n;
  }
  c->out_length = 0;
}

/* The first answer puts its two fields into the peer's table, later ones name them by index (62 is the newest). */
static void answer(struct connection *c, uint32_t stream) {
  if (c->out_length + 512 > OUT_BYTES) flush(c);
  uint8_t *p = c->out + c->out_length, *head = p;
  p += FRAME_HEAD;
  *p++ = 0x88;
  if (c->has_first) *p++ = 0x80 | 63;
  else {
    *p++ = 0x40 | 31; /* content-type */
    p = put_text(p, "application/grpc", 16);
  }
  put_frame(head, (int)(p - head) - FRAME_HEAD, HEADERS, END_HEADERS, stream);
  p = put_frame(p, MESSAGE + 5, DATA, 0, stream);
  *p++ = 0;
  p = put_u32(p, MESSAGE);
  memset(p, 'x', MESSAGE);
  p += MESSAGE;
  uint8_t *trailers = p;
  p += FRAME_HEAD;
  if (c->has_first) *p++ = 0x80 | 62;
  else {
    *p++ = 0x40;
    p = put_text(p, "grpc-status", 11);
    p = put_text(p, "0", 1);
  }
  put_frame(trailers, (int)(p - trailers) - FRAME_HEAD, HEADERS, END_HEADERS | END_STREAM, stream);
  c->has_first = 1;
  c->out_length = (int)(p - c->out);
}

static void take_frame(struct connection *c, const uint8_t *p, int length) {
  int type = p[3], flags = p[4];
  uint32_t stream = read_u32(p + 5) & 0x7fffffff;
  uint8_t *out = c->out + c->out_length;
  if (type == SETTINGS && !(flags & ACK)) c->out_length = (int)(put_frame(out, 0, SETTINGS, ACK, 0) - c->out);
  else if (type == PING && !(flags & ACK)) {
    memcpy(put_frame(out, 8, PING, ACK, 0), p + FRAME_HEAD, 8);
    c->out_length += FRAME_HEAD + 8;
  } else if (type == DATA) {
    c->consumed += length;
    if (c->consumed > 1 << 20) {
      c->out_length = (int)(put_u32(put_frame(out, 4, WINDOW_UPDATE, 0, 0), (uint32_t)c->consumed) - c->out);
      c->consumed = 0;
    }
  }
  if ((type == HEADERS || type == DATA) && flags & END_STREAM) answer(c, stream);
}

static int take(struct connection *c) {
  int at = 0;
  if (!c->has_preface) {
    if (c->in_length < PREFACE_LENGTH) return 1;
    if (memcmp(c->in, PREFACE, PREFACE_LENGTH)) return 0;
    uint8_t *p = put_setting(put_frame(c->out, 6, SETTINGS, 0, 0), 3, 1000);
    c->out_length = (int)(put_u32(put_frame(p, 4, WINDOW_UPDATE, 0, 0), 1 << 28) - c->out);
    c->has_preface = 1;
    at = PREFACE_LENGTH;
  }
  while (c->in_length - at >= FRAME_HEAD && c->in_length - at >= FRAME_HEAD + frame_length(c->in + at)) {
    int length = frame_length(c->in + at);
    take_frame(c, c->in + at, length);
    at += FRAME_HEAD + length;
  }
  memmove(c->in, c->in + at, c->in_length - at);
  c->in_length -= at;
  return 1;
}

int main(int argc, char **argv) {
  if (argc < 2) die("start", "grpc-app PORT");
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[1])), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int one = 1, listener = socket(AF_INET, SOCK_STREAM, 0), epoll = epoll_create1(0);
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (bind(listener, (struct sockaddr *)&at, sizeof at) || listen(listener, 4096)) die("listen on", argv[1]);
  struct epoll_event e = {.events = EPOLLIN}, events[256];
  epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &e);
  for (;;) {
    int n = epoll_wait(epoll, events, 256, -1);
    for (int i = 0; i < n; i++) {
      struct connection *c = events[i].data.ptr;
      if (!c) {
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
        if (fd < 0) continue;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        c = calloc(1, sizeof *c);
        c->fd = fd;
        struct epoll_event in = {.events = EPOLLIN, .data.ptr = c};
        epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &in);
        continue;
      }
      int got = (int)read(c->fd, c->in + c->in_length, IN_BYTES - c->in_length);
      if (got < 0 && errno == EAGAIN) continue;
      if (got > 0) {
        c->in_length += got;
        if (take(c)) {
          flush(c);
          continue;
        }
      }
      close(c->fd);
      free(c);
    }
  }
}
