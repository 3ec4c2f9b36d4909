/*
 * Load generator for HTTP/2 and gRPC behind mutual TLS; the sibling of load.c, told what to do by the same lines (`connect`,
 * `closed`, `rate`) and answering in the same form. One thread, one epoll loop. Each connection speaks as an identity of its own
 * and carries STREAMS requests at a time. What a client of a mesh does is done: fields that repeat are indexed (RFC 7541, 6.2.1),
 * the path is not; windows are opened widely and refilled. Of responses it understands a status that is indexed or plain, and
 * their end.
 *
 *   load-h2 PORT CONNECTIONS STREAMS REQUESTS [IDENTITIES CA]
 *     REQUESTS    as for load.c: HTTP/1.1 requests, each ended by a NUL byte, turned into HTTP/2 here. What stands behind the head
 *                 goes out as content (and may not hold a NUL byte), in a gRPC message when the content-type says so.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include "identities.h"
#include <ctype.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>
#include "h2.h"

enum { MAX_STREAMS = 64, OUT_BYTES = 1 << 17, IN_BYTES = 1 << 18, FIELDS = 24, WINDOW = 1 << 28, REFILL = 1 << 26 };
enum state { CLOSED, SHAKING, OPEN };
enum mode { ONCE, CLOSED_LOOP, RATE };

struct stream {
  uint32_t id; /* 0: free */
  int status;
  double due;
};

struct connection {
  int fd;
  SSL *ssl;
  enum state state;
  int identity, had_first, going_away, busy;
  uint32_t next_id;
  struct stream streams[MAX_STREAMS];
  long consumed;
  int in_length, out_length, out_sent;
  uint8_t in[IN_BYTES], out[OUT_BYTES];
};

/* A request, taken apart once. */
struct request {
  const char *method, *path;
  int method_length, path_length, body_length;
  const uint8_t *body;
};

static int port, connection_count, stream_count, request_count, epoll, is_grpc;
static struct connection **connections;
static struct request *requests;
static char *field_names[FIELDS], *field_values[FIELDS];
static int field_count;
static const char *authority = "localhost";
static unsigned next_request;
static int expected, running, bad_status;
static enum mode mode;
static long done, bad, reopened;
static uint32_t *latencies;
static long latency_count, latency_room;

/* Every request bears the fields of the first: they are the same in all of them. */
static void read_fields(char *line) {
  while (line && *line) {
    char *next = strstr(line, "\r\n"), *colon = strchr(line, ':');
    if (next) *next = 0, next += 2;
    if (!colon) break;
    *colon = 0;
    for (char *c = line; *c; c++) *c = tolower(*c);
    char *value = colon + 1 + strspn(colon + 1, " ");
    if (!strcmp(line, "host")) authority = value;
    else if (strcmp(line, "content-length") && field_count < FIELDS) {
      field_names[field_count] = line;
      field_values[field_count++] = value;
      is_grpc |= !strcmp(line, "content-type") && !strncmp(value, "application/grpc", 16);
    }
    line = next;
  }
}

static void read_requests(const char *path) {
  size_t length, i, start = 0;
  char *bytes = slurp(path, &length);
  for (i = 0; i < length; i++) request_count += bytes[i] == 0;
  requests = calloc(request_count, sizeof *requests);
  int n = 0;
  for (i = 0; i < length; i++) {
    if (bytes[i]) continue;
    char *line = bytes + start, *end = strstr(line, "\r\n\r\n"), *space = strchr(line, ' '), *second = strchr(space + 1, ' ');
    if (!end || !space || !second) die("understand", line);
    requests[n++] = (struct request){line, space + 1, (int)(space - line), (int)(second - space - 1),
                                     (int)(bytes + i - end - 4), (const uint8_t *)end + 4};
    if (n == 1) {
      *end = 0;
      read_fields(strstr(second, "\r\n") + 2);
    }
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
  bad += c->busy;
  if (c->busy && !bad_status) bad_status = -4;
  c->busy = 0;
  memset(c->streams, 0, sizeof c->streams);
}

static void fail(struct connection *c, int status) {
  bad++;
  if (!bad_status) bad_status = status;
  close_connection(c);
}

static void flush(struct connection *c) {
  while (c->state == OPEN && c->out_sent < c->out_length) {
    const uint8_t *from = c->out + c->out_sent;
    int left = c->out_length - c->out_sent;
    int n = c->ssl ? SSL_write(c->ssl, from, left) : (int)write(c->fd, from, left);
    if (n <= 0) {
      int again = c->ssl ? SSL_get_error(c->ssl, n) == SSL_ERROR_WANT_WRITE : errno == EAGAIN;
      ERR_clear_error();
      struct epoll_event e = {.events = EPOLLIN | EPOLLOUT, .data.ptr = c};
      if (again) epoll_ctl(epoll, EPOLL_CTL_MOD, c->fd, &e);
      else fail(c, -5);
      return;
    }
    c->out_sent += n;
  }
  if (c->out_length) c->out_length = c->out_sent = 0;
}

/* Field 0 is the authority. The first request of a connection puts all of them into the table, the newest at index 62. */
static uint8_t *put_field(struct connection *c, uint8_t *p, int field) {
  if (c->had_first) {
    *p++ = 0x80 | (62 + field_count - field);
    return p;
  }
  if (field == 0) *p++ = 0x41;
  else {
    *p++ = 0x40;
    p = put_text(p, field_names[field - 1], (int)strlen(field_names[field - 1]));
  }
  const char *value = field == 0 ? authority : field_values[field - 1];
  return put_text(p, value, (int)strlen(value));
}

static void send_request(struct connection *c, struct stream *s, double due) {
  struct request *r = &requests[next_request++ % request_count];
  uint8_t *start = c->out + c->out_length, *p = start + FRAME_HEAD;
  if (c->out_length + 4096 + r->body_length > OUT_BYTES) die("hold", "so many requests");
  *s = (struct stream){c->next_id, 0, due};
  c->next_id += 2;
  c->busy++;
  *p++ = r->method_length == 4 ? 0x83 : 0x82;
  *p++ = 0x87;
  *p++ = 0x04;
  p = put_text(p, r->path, r->path_length);
  for (int field = 0; field <= field_count; field++) p = put_field(c, p, field);
  c->had_first = 1;
  int ends = r->body_length == 0 && !is_grpc;
  put_frame(start, (int)(p - start) - FRAME_HEAD, HEADERS, END_HEADERS | (ends ? END_STREAM : 0), s->id);
  if (!ends) {
    p = put_frame(p, r->body_length + (is_grpc ? 5 : 0), DATA, END_STREAM, s->id);
    if (is_grpc) *p++ = 0, p = put_u32(p, r->body_length);
    memcpy(p, r->body, r->body_length);
    p += r->body_length;
  }
  c->out_length = (int)(p - c->out);
}

static void fill(struct connection *c) {
  int want = mode == ONCE ? 1 : stream_count;
  for (int i = 0; i < want && c->state == OPEN && !c->going_away; i++)
    if (!c->streams[i].id) send_request(c, &c->streams[i], now());
}

static void opened(struct connection *c) {
  uint8_t *p = c->out;
  c->state = OPEN;
  memcpy(p, PREFACE, PREFACE_LENGTH);
  p = put_frame(p + PREFACE_LENGTH, 12, SETTINGS, 0, 0);
  p = put_setting(p, 2, 0);
  p = put_setting(p, 4, WINDOW);
  p = put_u32(put_frame(p, 4, WINDOW_UPDATE, 0, 0), WINDOW);
  c->out_length = (int)(p - c->out);
  if (mode == ONCE) fill(c);
  flush(c);
}

static void shake(struct connection *c) {
  int r = SSL_do_handshake(c->ssl);
  if (r == 1) opened(c);
  else if (SSL_get_error(c->ssl, r) != SSL_ERROR_WANT_READ) fail(c, -2);
  ERR_clear_error();
}

static void open_connection(struct connection *c) {
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int one = 1;
  c->fd = socket(AF_INET, SOCK_STREAM, 0);
  if (c->fd < 0) die("open", "a socket");
  c->state = SHAKING;
  c->next_id = 1;
  c->had_first = c->going_away = c->busy = c->in_length = c->out_length = c->out_sent = 0;
  c->consumed = 0;
  if (connect(c->fd, (struct sockaddr *)&to, sizeof to)) {
    fail(c, -3);
    return;
  }
  setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  fcntl(c->fd, F_SETFL, O_NONBLOCK);
  struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
  epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &e);
  if (!identity_count) {
    opened(c);
    return;
  }
  c->ssl = SSL_new(identities[c->identity % identity_count]);
  SSL_set_fd(c->ssl, c->fd);
  SSL_set_connect_state(c->ssl);
  shake(c);
}

static struct stream *find(struct connection *c, uint32_t id) {
  for (int i = 0; i < stream_count; i++)
    if (c->streams[i].id == id) return &c->streams[i];
  return NULL;
}

static void answered(struct connection *c, struct stream *s) {
  done++;
  c->busy--;
  if (s->status != expected) {
    bad++;
    if (!bad_status) bad_status = s->status ? s->status : -6;
  }
  if (mode == RATE && latency_count < latency_room) latencies[latency_count++] = (now() - s->due) * 1e6;
  s->id = 0;
  if (mode == CLOSED_LOOP && running && !c->going_away) send_request(c, s, now());
  else if (c->going_away && !c->busy) close_connection(c);
}

/* The status at the front of a block: indexed (RFC 7541, Appendix A, 8 to 14), or a plain literal. */
static int read_status(const uint8_t *p, int length) {
  static const int indexed[] = {200, 204, 206, 304, 400, 404, 500};
  while (length > 0 && (*p & 0xe0) == 0x20) p++, length--;
  if (length > 0 && *p >= 0x88 && *p <= 0x8e) return indexed[*p - 0x88];
  if (length >= 5 && (*p & 0x0f) == 8 && p[1] == 3) return (p[2] - '0') * 100 + (p[3] - '0') * 10 + p[4] - '0';
  return 0;
}

static void take_frame(struct connection *c, const uint8_t *p, int length, int type, int flags, uint32_t id) {
  struct stream *s = id ? find(c, id) : NULL;
  if (type == HEADERS) {
    int skip = (flags & PADDED ? 1 : 0) + (flags & PRIORITY ? 5 : 0);
    if (s && !s->status) s->status = read_status(p + skip, length - skip);
  } else if (type == DATA) {
    c->consumed += length;
    if (c->consumed > REFILL) {
      uint8_t *out = put_u32(put_frame(c->out + c->out_length, 4, WINDOW_UPDATE, 0, 0), (uint32_t)c->consumed);
      c->out_length = (int)(out - c->out);
      c->consumed = 0;
    }
  } else if (type == RST_STREAM && s) {
    s->status = s->status ? -7 : -8;
    answered(c, s);
    return;
  } else if (type == SETTINGS && !(flags & ACK)) {
    c->out_length = (int)(put_frame(c->out + c->out_length, 0, SETTINGS, ACK, 0) - c->out);
  } else if (type == PING && !(flags & ACK)) {
    uint8_t *out = put_frame(c->out + c->out_length, 8, PING, ACK, 0);
    memcpy(out, p, 8);
    c->out_length = (int)(out + 8 - c->out);
  } else if (type == GOAWAY) {
    c->going_away = 1;
    reopened += running;
  }
  if (s && (type == HEADERS || type == DATA) && flags & END_STREAM) answered(c, s);
}

static void take_bytes(struct connection *c) {
  int at = 0;
  while (c->state == OPEN && c->in_length - at >= FRAME_HEAD) {
    const uint8_t *p = c->in + at;
    int length = frame_length(p);
    if (length > IN_BYTES - FRAME_HEAD) {
      fail(c, -9);
      return;
    }
    if (c->in_length - at < FRAME_HEAD + length) break;
    take_frame(c, p + FRAME_HEAD, length, p[3], p[4], read_u32(p + 5) & 0x7fffffff);
    at += FRAME_HEAD + length;
  }
  memmove(c->in, c->in + at, c->in_length - at);
  c->in_length -= at;
}

static void ready(struct connection *c, int events) {
  if (c->state == SHAKING) {
    shake(c);
    return;
  }
  if (events & EPOLLOUT) {
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
    epoll_ctl(epoll, EPOLL_CTL_MOD, c->fd, &e);
  }
  for (;;) {
    int room = IN_BYTES - c->in_length;
    int n = c->ssl ? SSL_read(c->ssl, c->in + c->in_length, room) : (int)read(c->fd, c->in + c->in_length, room);
    if (n <= 0) {
      int again = c->ssl ? SSL_get_error(c->ssl, n) == SSL_ERROR_WANT_READ : n < 0 && errno == EAGAIN;
      ERR_clear_error();
      if (!again) close_connection(c);
      break;
    }
    c->in_length += n;
    take_bytes(c);
    if (c->state != OPEN) return;
  }
  flush(c);
}

static int count(int what) {
  int n = 0;
  for (int i = 0; i < connection_count; i++) n += what < 0 ? connections[i]->busy : connections[i]->state == (enum state)what;
  return n;
}

static void turn(double seconds) {
  struct epoll_event events[256];
  struct timespec wait = {(time_t)seconds, (long)((seconds - (time_t)seconds) * 1e9)};
  int n = epoll_pwait2(epoll, events, 256, &wait, NULL);
  for (int i = 0; i < n; i++) {
    struct connection *c = events[i].data.ptr;
    if (c->state != CLOSED) ready(c, events[i].events);
  }
}

/* Lets what is under way come to its end, 5 s at most; returns what never did. */
static int drain(void) {
  double until = now() + 5;
  while (count(-1) + count(SHAKING) && now() < until) turn(0.05);
  int hung = count(-1) + count(SHAKING);
  for (int i = 0; i < connection_count; i++)
    if (connections[i]->busy || connections[i]->state == SHAKING) close_connection(connections[i]);
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
         bad_status, hung, reopened, count(OPEN), seconds);
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

static void connect_all(int status) {
  double start = now();
  begin(ONCE, status);
  for (int i = 0; i < connection_count; i++) {
    if (connections[i]->state == CLOSED) open_connection(connections[i]);
    while (count(SHAKING) + count(-1) >= 16 && now() - start < 60) turn(0.05);
  }
  running = 0;
  report(now() - start, drain());
}

static void reopen_closed(void) {
  for (int i = 0; i < connection_count; i++)
    if (connections[i]->state == CLOSED) open_connection(connections[i]);
}

static void closed_loop(double seconds, int status) {
  begin(CLOSED_LOOP, status);
  double start = now();
  for (int i = 0; i < connection_count; i++) fill(connections[i]), flush(connections[i]);
  while (now() - start < seconds && bad <= 1000) {
    turn(0.01);
    if (count(CLOSED)) reopen_closed();
    for (int i = 0; i < connection_count; i++)
      if (connections[i]->state == OPEN && connections[i]->busy < stream_count) fill(connections[i]), flush(connections[i]);
  }
  running = 0;
  report(now() - start, drain());
}

static struct stream *free_stream(struct connection *c) {
  return c->state == OPEN && !c->going_away ? find(c, 0) : NULL;
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
    while (tried < connection_count && !free_stream(connections[at])) at = (at + 1) % connection_count, tried++;
    if (tried == connection_count) {
      turn(0.05);
      continue;
    }
    send_request(connections[at], free_stream(connections[at]), due);
    flush(connections[at]);
    at = (at + 1) % connection_count;
    sent++;
  }
  running = 0;
  report(now() - start, drain());
}

int main(int argc, char **argv) {
  char line[256];
  double a, b;
  int status;
  if (argc < 5) die("start", "load-h2 PORT CONNECTIONS STREAMS REQUESTS [IDENTITIES CA]");
  port = atoi(argv[1]);
  connection_count = atoi(argv[2]);
  stream_count = atoi(argv[3]);
  if (stream_count < 1 || stream_count > MAX_STREAMS) die("carry so many streams", argv[3]);
  read_requests(argv[4]);
  if (argc > 6) read_identities(argv[5], argv[6], "\x02h2");
  struct rlimit files = {65536, 65536};
  setrlimit(RLIMIT_NOFILE, &files);
  prctl(PR_SET_TIMERSLACK, 1UL, 0, 0, 0);
  epoll = epoll_create1(0);
  connections = calloc(connection_count, sizeof *connections);
  for (int i = 0; i < connection_count; i++) {
    connections[i] = calloc(1, sizeof **connections);
    connections[i]->identity = i;
  }
  while (fgets(line, sizeof line, stdin)) {
    if (sscanf(line, "connect %d", &status) == 1) connect_all(status);
    else if (sscanf(line, "closed %lf %d", &a, &status) == 2) closed_loop(a, status);
    else if (sscanf(line, "rate %lf %lf %d", &a, &b, &status) == 3) fixed_rate(a, b, status);
    else errno = 0, die("understand", line);
  }
  return 0;
}
