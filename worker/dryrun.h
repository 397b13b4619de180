/* dryrun — what would become of a request, without network and without policies.
 *
 * The builder runs the `tests` of all services with it, and `postern route` asks it. It uses what the
 * exchange uses: paths are normalised, hosts and routes looked up, rewrites and redirects filled in by the
 * same functions. */
#ifndef WORKER_DRYRUN_H
#define WORKER_DRYRUN_H

#include "worker/worker.h"

struct dryrun_request {
	struct str send;                /* "GET https://api.example.com/v1/orders/7" */
	const struct conf_pairs *headers;       /* may be NULL */
	struct str client;              /* address; empty: 127.0.0.1 */
	const struct conf_listener *listener;   /* NULL: the first that fits the scheme … */
	const struct conf_service *service;     /* … among those of this service; NULL: any */
};

struct dryrun_answer {
	const char *bad;                /* why this is no request; NULL: it is one */
	const struct conf_listener *listener;
	struct route_match match;
	struct str host, path;          /* path as forwarded: rewritten */
	struct str location;            /* of a redirect */
	int status;                     /* of an answer of the gateway's own; 0: forwarded */
	enum fault fault;
};

/* Texts live in the arena. `trace` may be NULL. */
void dryrun_send(const struct image *, const struct dryrun_request *, struct arena *,
		 struct route_trace *trace, struct dryrun_answer *);

/* Runs the tests of all services; -1 when one failed (the diag says which). */
int dryrun_tests(const struct image *, struct diag *);

#endif
