/* upstream — targets of a service: which one is next, and a connection to it.
 *
 * Words: *cluster*, a worker's view of one upstream of one generation; *target*, one address of it,
 * kept by its address over generations with its pool of idle connections, so that a reload
 * costs no connection; *attempt*, one try to have a request answered. */
#ifndef UPSTREAM_UPSTREAM_H
#define UPSTREAM_UPSTREAM_H

#include "base/list.h"
#include "conf/model.h"
#include "shm/stats.h"
#include "worker/http/h1.h"
#include "worker/net/tls.h"
#include "worker/net/addr.h"
#include "worker/net/loop.h"
#include "worker/upstream/call.h"

/* In the image: what the builder found out about each target. By conf_target.id. */
struct upstream_target {
	const struct conf_target *conf;
	struct addr addr;               /* family 0: its name did not resolve; AF_UNIX: conf->path */
	struct str name;                /* "10.0.0.1:8080" or "unix:/path" */
	struct str key;                 /* with the terms of TLS: its identity over generations */
	uint32_t series;                /* of shm/stats.h: SERIES_TARGET, and SERIES_CONNECT */
	uint32_t connect_series;
};

/* Resolves all targets (blocking: in the builder) into an array by id. Names that do not resolve are warnings. */
struct upstream_target *upstream_compile(const struct conf_model *, struct arena *, struct diag *);

/* A worker's own. */
struct target {
	struct list link;               /* of the worker's targets */
	struct upstreams *all;
	struct str key, name;
	struct addr addr;
	struct str path, host;          /* host: name or address as the configuration has it */
	struct list idle;               /* struct conn by link, the most recently used first */
	struct list busy;
	struct list dials;              /* under way */
	const struct conf_upstream *conf;       /* of the newest configuration */
	struct tls_client *tls;         /* of the newest configuration; NULL: no TLS */
	bool h2;                        /* by prior knowledge, or what ALPN said last */
	uint32_t nidle, nopen;
	uint32_t users;                 /* clusters that have it; 0: goes with its last connection */
	uint32_t series, connect_series;
	uint32_t max_idle, max_open;    /* of the newest configuration; max_open 0: no limit */
	uint64_t idle_timeout;          /* ms */
};

struct member {
	struct target *target;
	int64_t weight, current;        /* smooth weighted round robin */
};

struct cluster {
	const struct conf_upstream *conf;
	struct tls_client *tls;         /* NULL: no target has https */
	struct member *members;
	uint32_t n;
	int64_t total;                  /* of the weights */
};

struct upstreams {                      /* of a worker: all its targets */
	struct loop *loop;
	struct list targets;
	struct h1_rules rules;          /* limits of response heads */
	uint64_t open;                  /* connections, for the gauge */
	struct stats_page *page;
};

/* What `tls` of an upstream says, in the words of worker/net/tls.h. */
void upstream_tls_rules(const struct conf_upstream *, struct tls_client_rules *);

void upstreams_init(struct upstreams *, struct loop *, struct stats_page *);
/* A generation's clusters, by conf_upstream.index; on the heap. NULL with a message: its TLS cannot be set up. */
struct cluster *upstreams_bind(struct upstreams *, const struct conf_model *, const struct upstream_target *,
			       char error[static 256]);
/* The limits and pools of this configuration are in force from now on. */
void upstreams_commit(struct upstreams *, const struct conf_model *, struct cluster *);
void upstreams_unbind(struct upstreams *, struct cluster *, size_t n);
/* Closes all idle connections (drain, end). */
void upstreams_close_idle(struct upstreams *);

/* The next member that is not in `tried` (a bit by its index; those from 63 on share the last) and has weight,
 * or NULL. */
struct member *cluster_pick(struct cluster *, uint64_t tried);

static inline uint64_t
cluster_bit(const struct cluster *c, const struct member *m)
{
	size_t i = (size_t)(m - c->members);

	return 1ull << (i < 63 ? i : 63);
}

/* A stream on a connection that is there: the idle one most recently used, or a h2 connection with room; or NULL. */
struct stream *pool_take(struct target *);

/* Dials: connects, says the PROXY header (`for_whom`), shakes hands, opens the codec; or, where that may become h2,
 * joins a dial under way. -1 with *fault and errno: it failed at once. */
int connect_start(struct target *, struct call *, const struct addr *for_whom, enum fault *fault);
/* Waits no longer. Twice does no harm. */
void connect_cancel(struct call *);

#endif
