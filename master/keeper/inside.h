/* inside — what the files of the keeper share. Nobody else includes this.
 *
 *   keeper.c    the process: channel to the master, generations, the loop and its second
 *   state.c     the store: opening, failures, what is said of them, growth, stale readers
 *   collect.c   books meters and series, tails the rings, in one transaction a second
 *   expose.c    /metrics
 *   admin.c     the sockets: who may, requests in, answers out
 *   api.def     the endpoints, a row each; api_*.c what they do */
#ifndef MASTER_KEEPER_INSIDE_H
#define MASTER_KEEPER_INSIDE_H

#include "base/arena.h"
#include "master/keeper/expose.h"
#include "master/keeper/keeper.h"
#include "shm/store.h"
#include "worker/net/loop.h"

struct collect;
struct admin;

struct keeper {
	struct loop loop;               /* first */
	const struct keeper_start *start;
	struct shared shared;
	const struct conf_model *model; /* in force; another after each reload */
	uint64_t generation;
	struct slot *row;
	struct store *store;            /* NULL: cannot be used now; state.c */
	char path[4096];                /* of the store */
	uint64_t retry_at;              /* ms: when the store is tried again */
	enum store_state said;          /* what the log said last of the store */
	struct collect *collect;
	struct admin *admin;
	bool stop;
};

/* ---- state.c */

/* The store, opened if it can be; NULL: not now (said once in the log and in shared.control). */
struct store *state_open(struct keeper *);
/* A call of the store failed: says so once, sets the state, closes it if it is of no use any more; it is tried again. */
void state_failed(struct keeper *);
/* A write succeeded. */
void state_good(struct keeper *);
/* Once a second: room, readers, another try. */
void state_second(struct keeper *);
/* Around every use of LMDB: a death in between is counted (shm/control.h). */
void state_enter(struct keeper *);
void state_leave(struct keeper *);

/* ---- collect.c */

struct collect *collect_new(struct keeper *);
void collect_free(struct collect *);
/* Once a second: all that has been counted since goes into the store, in one transaction, with a checkpoint. */
void collect_second(struct keeper *);
/* The same now, because somebody asks what was used. -1: it cannot be stored just now. */
int collect_now(struct keeper *);
/* A few times a second: reads what the workers recorded. */
void collect_records(struct keeper *);
/* The configuration has changed. */
void collect_reloaded(struct keeper *);

/* ---- admin.c and the api */

struct admin *admin_new(struct keeper *);
void admin_free(struct admin *);
/* Another configuration: other sockets, perhaps; connections that are open stay. */
void admin_reloaded(struct keeper *);

struct api_request {
	struct keeper *keeper;
	struct str path, query, body;   /* path decoded, without query */
	struct str param[2];            /* what the {…} of the row stand for */
	char who[64];                   /* for the audit */
	struct arena *arena;            /* for the answer; goes with the request */
};

struct api_answer {
	int status;                     /* 200, 201, 204, 400, 404, 409, 503 … */
	const char *type;               /* "application/json" when NULL */
	struct str body;                /* in the arena, or static */
};

/* The value of a parameter of the query, decoded; false: not there. */
bool api_query(const struct api_request *, const char *name, struct str *value);
/* An answer with a problem document (RFC 9457). */
void api_problem(const struct api_request *, struct api_answer *, int status, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

struct api {
	const char *method, *path;      /* "/v1/consumers/{name}/keys" */
	void (*fn)(const struct api_request *, struct api_answer *);
	bool writes;                    /* needs the right to change things; is written into the audit */
	const char *help;
};

/* Ends with a row without a method. */
extern const struct api api[];

#endif
