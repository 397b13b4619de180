/* context — what a worker lends to its exchanges: itself, and the configuration in force. */
#ifndef EXCHANGE_CONTEXT_H
#define EXCHANGE_CONTEXT_H

#include "shm/shared.h"
#include "worker/exchange/exchange.h"
#include "worker/exchange/links.h"
#include "worker/exchange/trust.h"
#include "worker/upstream/upstream.h"

struct image;                           /* worker/worker.h */
struct oauth;                           /* exchange/oauth.h */
struct dns;

struct listener_series {                /* of shm/stats.h */
	uint32_t series;
	uint16_t file;
};

/* An image that this worker has mapped and bound. */
struct generation {
	struct list link;               /* of the worker */
	uint64_t number;
	uint32_t refs;                  /* exchanges that pin it, and one while it is current */
	const struct image *image;
	const struct conf_model *model;
	const struct router *router;
	const struct links *links;      /* of the gateway alone */
	const struct trust *trust;      /* by listener index */
	const struct listener_series *listeners;        /* by listener index */
	struct cluster *clusters;       /* by upstream index */
	struct tls_server **tls;        /* by listener index; NULL: none */
	struct oauth **tokens;          /* by upstream index; NULL: none */
	struct regex_jit *jit;
	void **bound;                   /* by conf_policy.index: what policy.bind returned */
	uint32_t nbound;                /* how many of them are bound */
	void (*release)(struct generation *);   /* refs are 0 */
	struct worker *worker;
};

struct worker {
	struct loop loop;               /* first */
	struct generation *gen;         /* current */
	struct generation *previous;    /* during a commit */
	struct list generations;
	struct h1_rules rules;          /* client connections */
	struct upstreams upstreams;
	struct list exchanges;          /* under way */
	struct list rest;               /* exchanges to be used again */
	uint32_t nexchanges, nrest, peak;       /* peak: of nexchanges, since rest was last thinned */
	uint64_t nconns;
	struct list conns;              /* client connections: struct conn by link */
	struct list hellos;             /* those that have not said what they speak */
	uint64_t hello_said;            /* ms: a failed one was logged */
	struct tls_tickets tickets;
	struct list logfiles;           /* access logs, kept over generations */
	struct stats_page *page;
	struct stats_series *series;    /* by index */
	struct tally *tally;
	struct ring *ring;
	struct shared *shared;
	struct directory *directory;    /* consumers of the store */
	struct list tokens, fetches;    /* exchange/oauth.h: access tokens, and what asks for them */
	struct dns *dns;
	struct slot *slot;
	int row;                        /* ours, in all tables of the region */
	struct list sites;              /* worker/serve.h */
	struct list listens;
	struct list sockets;            /* handed over, not in use yet */
	struct event channel;          /* to the master; in --single: signals */
	struct timer second;
	uint64_t drain_by;              /* ms */
	uint32_t number;
	int status;                     /* to exit with */
	bool single, draining, reopen;
	bool close_idle;                /* draining: nobody is to keep a connection */
	char error[256];                /* why a configuration can not be bound */
};

static inline void
generation_unref(struct generation *g)
{
	if (--g->refs == 0)
		g->release(g);
}

/* Begins an exchange for a request on this stream of a client, by this generation. */
struct exchange *exchange_begin(struct worker *, struct generation *, struct stream *,
				const struct conf_listener *);
/* As if it had not begun. */
void exchange_cancel(struct exchange *);
/* The one whose step this process is in, for who handles a fatal signal; NULL: none. */
const struct exchange *exchange_running(void);
/* What identifies a request that kills workers: a hash of its route and of its head as received, without the lines that
 * differ each time. Never 0. Async-signal-safe. */
uint64_t exchange_signature(const struct exchange *, uint32_t route);
/* Cuts it off: the worker has to go. */
void exchange_stop(struct exchange *);
/* Frees exchanges at rest beyond what the last second needed. */
void exchange_thin(struct worker *);
void exchange_free_rest(struct worker *);

/* What the exchange does for its two ends. */
extern const struct stream_user exchange_client_user, exchange_upstream_user;

#endif
