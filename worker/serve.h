/* serve — connections of clients: from accept to the exchange.
 *
 * A *site* is a listener as a worker sees it, by its name over all generations. Connections
 * belong to a site, so that a reload changes the configuration under them without touching them;
 * one whose listener is gone keeps the last generation that had it, until its next answer. */
#ifndef WORKER_SERVE_H
#define WORKER_SERVE_H

#include "worker/exchange/context.h"

struct site {
	struct list link;               /* of the worker */
	struct worker *worker;
	const struct conf_listener *conf;       /* in `pinned`, or in the current generation */
	struct generation *pinned;      /* removed by a reload: the last that had it; else NULL */
	uint32_t connections;
	struct hello_rules rules;       /* of conf; not used where the first byte is HTTP/1.1 */
	bool plain;                     /* … as here */
	struct hello_gate *gate;        /* limits of handshakes; NULL: none */
	struct str name;
	char text[];
};

/* The listeners of the current generation are those that are served from now on: begins to accept on
 * sockets that were handed over, drains and closes those that it does not name. -1: one of its addresses has no
 * socket. */
int serve_commit(struct worker *);

/* A socket of this address, from the master; kept until a generation names it. */
void serve_socket(struct worker *, struct str address, int fd);
/* Closes those that were handed over and not taken into use. */
void serve_abort(struct worker *);

/* Stops accepting (what is in the queues is accepted). Idle connections are closed a second later, if they are
 * idle still. */
void serve_stop(struct worker *, bool close_idle);
/* Stops accepting and closes every client connection, whatever it is doing. */
void serve_cut(struct worker *);
/* After the turn that followed serve_cut(): frees what is left. */
void serve_end(struct worker *);

#endif
