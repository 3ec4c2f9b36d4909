/*
 * Finds the end of an HTTP/1.1 response in the bytes as they come. Just enough for the answers of a proxy under load: bodies with
 * content-length or chunked, no trailers. Include after _GNU_SOURCE and <string.h>.
 */
#include <stdlib.h>
#include <string.h>

enum { HEAD_OPEN = -1, CHUNKED = -2 };

struct response {
  int status;
  int close_after;
  int head_length;
  long body_left; /* or HEAD_OPEN, CHUNKED */
  char tail[5];   /* the last bytes of a chunked body */
  char head[8192];
};

static void read_head(struct response *r, char *end) {
  char *field;
  *end = 0;
  r->status = r->head_length > 12 ? atoi(r->head + 9) : 0;
  r->close_after = strcasestr(r->head, "\r\nconnection: close") != NULL;
  if ((field = strcasestr(r->head, "\r\ncontent-length:")))
    r->body_left = atol(field + 17);
  else if (strcasestr(r->head, "\r\ntransfer-encoding: chunked"))
    r->body_left = CHUNKED, memset(r->tail, 0, sizeof r->tail);
  else
    r->body_left = 0;
}

/* Takes the next bytes of a response; 1 when it is complete. */
static int take_response(struct response *r, const char *bytes, int n) {
  if (r->body_left == HEAD_OPEN) {
    int had = r->head_length, room = (int)sizeof r->head - 1 - had, copied = n < room ? n : room;
    memcpy(r->head + had, bytes, copied);
    r->head_length += copied;
    char *end = memmem(r->head, r->head_length, "\r\n\r\n", 4);
    if (!end) return 0;
    int used = (int)(end - r->head) + 4 - had;
    read_head(r, end);
    bytes += used;
    n -= used;
  }
  if (r->body_left == CHUNKED) {
    for (int i = n > 5 ? n - 5 : 0; i < n; i++) {
      memmove(r->tail, r->tail + 1, 4);
      r->tail[4] = bytes[i];
    }
    return !memcmp(r->tail, "0\r\n\r\n", 5);
  }
  r->body_left = r->body_left > n ? r->body_left - n : 0;
  return r->body_left == 0;
}
