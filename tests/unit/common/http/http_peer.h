/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The other end of an HTTP client under test: a loopback TCP (or TLS) peer that answers one connection after another
 * with literal bytes, so that broken and hostile answers can be sent too.
 */
#ifndef SN_TESTS_UNIT_COMMON_HTTP_HTTP_PEER_H
#define SN_TESTS_UNIT_COMMON_HTTP_HTTP_PEER_H

#include <stddef.h>

#define HTTP_PEER_HANG ((const char *)1) /* reads the request and never answers */
#define HTTP_PEER_DRIP ((const char *)2) /* answers for ever, a byte every 20 ms */

struct http_peer;

/* replies: literal answers, ended by NULL; one connection each, closed after it. With tls_name the peer speaks TLS with
 * a self-signed certificate for this DNS name or address. Aborts the test program when it cannot start. */
struct http_peer *http_peer_start(const char *const *replies, const char *tls_name);
int http_peer_port(const struct http_peer *peer);
/* PEM file of the certificate, to be trusted by the client. */
const char *http_peer_ca_file(const struct http_peer *peer);
/* Ends the peer; afterwards http_peer_requests() is all that was asked, one request after another. */
void http_peer_stop(struct http_peer *peer);
const char *http_peer_requests(const struct http_peer *peer);
void http_peer_free(struct http_peer *peer);

#endif
