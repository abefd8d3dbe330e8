/*
 * http - the stats port: /metrics, /stats.json, /healthz, /readyz, through libevent's evhttp, with
 * TLS if it is configured. The only module that includes it.
 * Owns:    the listening socket, connections and the requests under way.
 * Bounds:  HTTP_CONNS_MAX connections (more wait in the system's queue), of which HTTP_ACCEPTS_MAX
 *          come in HTTP_SWEEP_US, for their TLS handshakes; HTTP_REQUESTS_MAX requests that are
 *          being answered (more get 503); HTTP_HEAD_MAX bytes of a request's head and no body;
 *          HTTP_TIMEOUT_S without progress, and HTTP_REQUEST_S from one request to the next,
 *          however slowly its bytes trickle in or its answer is taken. GET and HEAD only.
 */
#ifndef PGWEIR_CONTROL_HTTP_H
#define PGWEIR_CONTROL_HTTP_H

#include "control/gather.h"
#include "control/show_run.h"

#define HTTP_CONNS_MAX    64u
#define HTTP_ACCEPTS_MAX  20u /* in HTTP_SWEEP_US */
#define HTTP_SWEEP_US     200000u
#define HTTP_REQUESTS_MAX 16u
#define HTTP_HEAD_MAX     8192
#define HTTP_TIMEOUT_S    10
#define HTTP_REQUEST_S    30

struct http;

/*
 * Serves `fd`, a listening socket, moved; 0 or less: one of its own on conf's stats_addr and
 * stats_port. Errors: E_NOMEM; E_IO, told in the log.
 */
enum status http_new(
	struct env *env, const struct show_tools *tools, int fd, struct http **out) MUST_USE;
int http_fd(const struct http *h); /* the listening socket, which stays http's */
void http_free(struct http *h);    /* NULL is allowed */

#endif
