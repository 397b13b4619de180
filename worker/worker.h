/* worker — one process, one loop: everything the master needs to know of it.
 *
 * The master forks and calls worker_run() with a struct worker_start; from then on they talk
 * over `channel` (worker/channel.h). The builder calls worker_compile() to make an image of
 * a model. Nothing else is shared but the region. */
#ifndef WORKER_WORKER_H
#define WORKER_WORKER_H

#include "conf/model.h"
#include "shm/shared.h"
#include "worker/route/route.h"

struct links;
struct listener_series;                 /* worker/exchange/context.h */
struct trust;
struct upstream_target;

/* The root of an image: lies at the front of its slice of the window. */
struct image {
	uint64_t magic;                 /* IMAGE_MAGIC */
	uint64_t generation;            /* 1, 2, 3 … of this master */
	size_t size;                    /* bytes of the slice in use */
	const struct conf_model *model;
	const struct router *router;
	const struct links *links;      /* of the gateway alone */
	const struct upstream_target *targets;  /* by conf_target.id */
	const struct trust *trust;      /* by conf_listener.index; worker/exchange/trust.h */
	const struct listener_series *listeners;        /* by conf_listener.index */
};

#define IMAGE_MAGIC 0x31656761696d6770ull

/* The table of policy types for conf_load(), NULL-terminated. */
const struct conf_type *const *worker_types(void);

/* Reads a configuration, as conf_load() does. When it has errors, those that compiling it
 * would find are said as well, and there is no model. */
const struct conf_model *worker_read(const char *path, struct arena *, struct diag *);

/* What compiling a model with errors (conf_read()) would find besides. */
void worker_findings(const struct conf_model *, struct arena *, struct diag *);

/* Compiles a checked model in the same arena: router, chains, targets, series; then runs
 * the tests of all services. `shared` may be NULL (postern check). What is wrong goes to
 * the diag; NULL on errors. */
struct image *worker_compile(const struct conf_model *, struct arena *, struct shared *, struct diag *);

/* The same without the tests, and without series: for who only wants to ask (postern route). */
struct image *worker_image(const struct conf_model *, struct arena *, struct diag *);

struct worker_socket {
	struct str address;             /* conf_bind.text */
	int fd;                         /* listening, non-blocking, this slot's own */
};

struct worker_start {
	uint32_t number;                /* slot: 0 … workers - 1 */
	int row;                        /* in slots, of this process */
	int channel;                    /* to the master; -1: --single */
	int cpu;                        /* to run on; -1: any */
	struct shared shared;
	const struct image *image;      /* mapped */
	uintptr_t at;                   /* its slice of the window: `size` bytes there are let go of after the */
	size_t size;                    /* image's last use; 0: never */
	struct worker_socket *sockets;
	size_t nsockets;
};

/* Serves until it is told to stop; returns the exit status. In --single it handles
 * SIGQUIT, SIGTERM and SIGUSR1 itself. */
int worker_run(const struct worker_start *);

#endif
