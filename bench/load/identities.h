/* What both load generators need: a clock, files, and client identities for mutual TLS. */
#ifndef IDENTITIES_H
#define IDENTITIES_H
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static SSL_CTX **identities;
static int identity_count;

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec / 1e9;
}

static void die(const char *what, const char *value) {
  fprintf(stderr, "Cannot %s \"%s\": %s\n", what, value, errno ? strerror(errno) : "not understood");
  exit(1);
}

static char *slurp(const char *path, size_t *length) {
  FILE *f = fopen(path, "rb");
  if (!f) die("read", path);
  fseek(f, 0, SEEK_END);
  *length = ftell(f);
  rewind(f);
  char *bytes = malloc(*length + 1);
  if (fread(bytes, 1, *length, f) != *length) die("read", path);
  bytes[*length] = 0;
  fclose(f);
  return bytes;
}

/*
 * The same suite, group and version for every proxy: BoringSSL lets no server order them. `protocol` is what ALPN offers, as its
 * length byte and its text; "" offers nothing.
 */
static void read_identities(const char *path, const char *ca, const char *protocol) {
  size_t length;
  char *line, *rest = slurp(path, &length);
  identities = calloc(length, sizeof *identities);
  while ((line = strsep(&rest, "\n"))) {
    char *certificate = strsep(&line, " "), *key = line;
    if (!key) continue;
    SSL_CTX *c = SSL_CTX_new(TLS_client_method());
    if (SSL_CTX_use_certificate_chain_file(c, certificate) != 1) die("read the certificate", certificate);
    if (SSL_CTX_use_PrivateKey_file(c, key, SSL_FILETYPE_PEM) != 1) die("read the key", key);
    if (SSL_CTX_load_verify_locations(c, ca, 0) != 1) die("read the bundle", ca);
    SSL_CTX_set_verify(c, SSL_VERIFY_PEER, 0);
    SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_min_proto_version(c, TLS1_3_VERSION);
    SSL_CTX_set_ciphersuites(c, "TLS_AES_128_GCM_SHA256");
    SSL_CTX_set1_groups_list(c, "X25519");
    if (*protocol) SSL_CTX_set_alpn_protos(c, (const unsigned char *)protocol, strlen(protocol));
    SSL_CTX_set_mode(c, SSL_MODE_RELEASE_BUFFERS);
    identities[identity_count++] = c;
  }
}
#endif
