/*
 * Load generator for HTTP/1.1 behind mutual TLS, with many client identities. One thread, one epoll loop, connections that
 * live from one measuring window to the next, so that a window holds requests and no handshakes. It is told what to do by lines
 * on standard input and answers each with one line of JSON. It never follows a redirect, never pipelines, and understands
 * responses with content-length or chunked bodies only.
 *
 *   load PORT CONNECTIONS REQUESTS [IDENTITIES CA [ALPN]]
 *     REQUESTS    file of literal requests, each ended by a NUL byte; connections take them in turn, over all of them
 *     IDENTITIES  file of lines "certificate.pem key.pem"; connection i speaks as identity i modulo their number.
 *                 Without it the load is plaintext.
 *     ALPN        a length byte and a protocol, http/1.1 without it
 *   connect STATUS              opens what is not open, one request on each; the handshakes of all but this stay out of windows
 *   closed SECONDS STATUS       each connection sends its next request when the last is answered
 *   rate RPS SECONDS STATUS     fixed rate; latency counts from the moment at which a request was due, not from its sending
 *   handshakes SECONDS STATUS   new connection, full handshake, one request, reset; over and over on each connection
 * STATUS is the only one that counts as good.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>
#include "identities.h"
#include "response.h"

enum state { CLOSED, SHAKING, IDLE, BUSY };
enum mode { ONCE, CLOSED_LOOP, RATE, HANDSHAKES };

struct connection {
  int fd;
  SSL *ssl;
  enum state state;
  int identity;
  double due;
  struct response response;
};

struct request {
  const char *bytes;
  int length;
};

static int port, connection_count, request_count, epoll;
static struct connection *connections;
static struct request *requests;
static unsigned next_request;
static int expected;
static enum mode mode;
static int running;
static long done, bad, reopened;
static int bad_status;
static uint32_t *latencies;
static long latency_count, latency_room;
static char buffer[65536];

static void read_requests(const char *path) {
  size_t length, i, start = 0;
  char *bytes = slurp(path, &length);
  for (i = 0; i < length; i++) request_count += bytes[i] == 0;
  requests = calloc(request_count, sizeof *requests);
  int n = 0;
  for (i = 0; i < length; i++)
    if (bytes[i] == 0) {
      requests[n++] = (struct request){bytes + start, (int)(i - start)};
      start = i + 1;
    }
  if (!request_count) die("find a request in", path);
}

static void close_connection(struct connection *c) {
  if (c->state == CLOSED) return;
  struct linger reset = {1, 0};
  setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
  if (c->ssl) SSL_free(c->ssl);
  close(c->fd);
  c->ssl = NULL;
  c->state = CLOSED;
}

static void fail(struct connection *c, int status) {
  bad++;
  if (!bad_status) bad_status = status;
  close_connection(c);
}

static void send_request(struct connection *c) {
  struct request *r = &requests[next_request++ % request_count];
  c->response.head_length = 0;
  c->response.body_left = HEAD_OPEN;
  c->state = BUSY;
  int n = c->ssl ? SSL_write(c->ssl, r->bytes, r->length) : (int)write(c->fd, r->bytes, r->length);
  if (n != r->length) fail(c, -1);
}

static void shake(struct connection *c) {
  int r = SSL_do_handshake(c->ssl);
  if (r == 1) {
    c->state = IDLE;
    c->due = now();
    send_request(c);
  } else if (SSL_get_error(c->ssl, r) != SSL_ERROR_WANT_READ)
    fail(c, -2);
  ERR_clear_error();
}

static void open_connection(struct connection *c) {
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int one = 1;
  c->fd = socket(AF_INET, SOCK_STREAM, 0);
  if (c->fd < 0) die("open", "a socket");
  c->state = SHAKING;
  if (connect(c->fd, (struct sockaddr *)&to, sizeof to)) {
    fail(c, -3);
    return;
  }
  setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  fcntl(c->fd, F_SETFL, O_NONBLOCK);
  struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
  epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &e);
  if (identity_count) {
    c->ssl = SSL_new(identities[c->identity % identity_count]);
    SSL_set_fd(c->ssl, c->fd);
    SSL_set_connect_state(c->ssl);
    shake(c);
  } else {
    c->due = now();
    send_request(c);
  }
}

static void answered(struct connection *c) {
  done++;
  if (c->response.status != expected) {
    bad++;
    if (!bad_status) bad_status = c->response.status;
  }
  if (mode == RATE && latency_count < latency_room) latencies[latency_count++] = (now() - c->due) * 1e6;
  c->state = IDLE;
  if (mode == HANDSHAKES) {
    c->identity += connection_count;
    close_connection(c);
    if (running) open_connection(c);
  } else if (c->response.close_after) {
    close_connection(c);
    if (mode == CLOSED_LOOP && running) {
      reopened++;
      open_connection(c);
    }
  } else if (mode == CLOSED_LOOP && running)
    send_request(c);
}

static void readable(struct connection *c) {
  if (c->state == SHAKING) {
    shake(c);
    return;
  }
  for (;;) {
    int n = c->ssl ? SSL_read(c->ssl, buffer, sizeof buffer) : (int)read(c->fd, buffer, sizeof buffer);
    if (n <= 0) {
      int again = c->ssl ? SSL_get_error(c->ssl, n) == SSL_ERROR_WANT_READ : n < 0 && errno == EAGAIN;
      ERR_clear_error();
      if (again) return;
      if (c->state == BUSY)
        fail(c, -4);
      else
        close_connection(c);
      return;
    }
    if (c->state != BUSY) continue;
    if (take_response(&c->response, buffer, n)) {
      answered(c);
      return; /* level-triggered: what is left is told again */
    }
  }
}

static int count(enum state state) {
  int n = 0;
  for (int i = 0; i < connection_count; i++) n += connections[i].state == state;
  return n;
}

/* One turn of the loop; waits at most `seconds`. */
static void turn(double seconds) {
  struct epoll_event events[256];
  struct timespec wait = {(time_t)seconds, (long)((seconds - (time_t)seconds) * 1e9)};
  int n = epoll_pwait2(epoll, events, 256, &wait, NULL);
  for (int i = 0; i < n; i++) {
    struct connection *c = events[i].data.ptr;
    if (c->state != CLOSED) readable(c);
  }
}

/* Lets what is under way come to its end, 5 s at most; returns what never did. */
static int drain(void) {
  double until = now() + 5;
  while (count(BUSY) + count(SHAKING) && now() < until) turn(0.05);
  int hung = count(BUSY) + count(SHAKING);
  for (int i = 0; i < connection_count; i++)
    if (connections[i].state == BUSY || connections[i].state == SHAKING) close_connection(&connections[i]);
  return hung;
}

static int by_value(const void *a, const void *b) {
  uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
  return (x > y) - (x < y);
}

static uint32_t quantile(double q) {
  return latency_count ? latencies[(long)(q * (latency_count - 1))] : 0;
}

static void report(double seconds, int hung) {
  printf("{\"requests\":%ld,\"bad\":%ld,\"badStatus\":%d,\"hung\":%d,\"reopened\":%ld,\"open\":%d,\"seconds\":%.6f", done, bad,
         bad_status, hung, reopened, count(IDLE), seconds);
  if (mode == RATE) {
    qsort(latencies, latency_count, sizeof *latencies, by_value);
    printf(",\"p50\":%u,\"p90\":%u,\"p99\":%u,\"max\":%u", quantile(0.5), quantile(0.9), quantile(0.99), quantile(1));
  }
  printf("}\n");
  fflush(stdout);
}

static void begin(enum mode m, int status) {
  mode = m;
  expected = status;
  done = bad = reopened = latency_count = 0;
  bad_status = 0;
  running = 1;
}

/* A few at a time, so that no proxy's backlog or handshake bound is met. */
static void connect_all(int status) {
  double start = now();
  begin(ONCE, status);
  for (int i = 0; i < connection_count; i++) {
    if (connections[i].state == CLOSED) open_connection(&connections[i]);
    while (count(SHAKING) + count(BUSY) >= 16 && now() - start < 60) turn(0.05);
  }
  running = 0;
  int hung = drain();
  report(now() - start, hung);
}

static void closed_loop(double seconds, int status, enum mode m) {
  begin(m, status);
  double start = now();
  for (int i = 0; i < connection_count; i++) {
    if (m == HANDSHAKES) {
      close_connection(&connections[i]);
      open_connection(&connections[i]);
    } else if (connections[i].state == IDLE)
      send_request(&connections[i]);
  }
  while (now() - start < seconds) {
    turn(0.01);
    if (bad > 1000) break;
    if (m == HANDSHAKES && count(CLOSED))
      for (int i = 0; i < connection_count; i++)
        if (connections[i].state == CLOSED) open_connection(&connections[i]);
  }
  running = 0;
  int hung = drain();
  report(now() - start, hung);
}

static void fixed_rate(double rps, double seconds, int status) {
  begin(RATE, status);
  long total = (long)(rps * seconds), sent = 0;
  latencies = realloc(latencies, (latency_room = total) * sizeof *latencies);
  double start = now() + 0.01;
  int at = 0;
  while (sent < total && now() < start + seconds + 5) {
    double due = start + sent / rps, wait = due - now();
    if (wait > 0) {
      turn(wait);
      continue;
    }
    int tried = 0;
    while (tried < connection_count && connections[at].state != IDLE) at = (at + 1) % connection_count, tried++;
    if (tried == connection_count) {
      turn(0.05);
      continue;
    }
    connections[at].due = due;
    send_request(&connections[at]);
    at = (at + 1) % connection_count;
    sent++;
  }
  running = 0;
  int hung = drain();
  report(now() - start, hung);
}

int main(int argc, char **argv) {
  char line[256];
  double a, b;
  int status;
  if (argc < 4) die("start", "load PORT CONNECTIONS REQUESTS [IDENTITIES CA]");
  port = atoi(argv[1]);
  connection_count = atoi(argv[2]);
  read_requests(argv[3]);
  if (argc > 5) read_identities(argv[4], argv[5], argc > 6 ? argv[6] : "\x08http/1.1");
  struct rlimit files = {65536, 65536};
  setrlimit(RLIMIT_NOFILE, &files);
  prctl(PR_SET_TIMERSLACK, 1UL, 0, 0, 0);
  epoll = epoll_create1(0);
  connections = calloc(connection_count, sizeof *connections);
  for (int i = 0; i < connection_count; i++) connections[i].identity = i;
  while (fgets(line, sizeof line, stdin)) {
    if (sscanf(line, "connect %d", &status) == 1)
      connect_all(status);
    else if (sscanf(line, "closed %lf %d", &a, &status) == 2)
      closed_loop(a, status, CLOSED_LOOP);
    else if (sscanf(line, "rate %lf %lf %d", &a, &b, &status) == 3)
      fixed_rate(a, b, status);
    else if (sscanf(line, "handshakes %lf %d", &a, &status) == 2)
      closed_loop(a, status, HANDSHAKES);
    else
      errno = 0, die("understand", line);
  }
  return 0;
}
