/* inside — what the files of the keeper share. Nobody else includes this.
 *
 *   keeper.c    the process: channel to the master, generations, the loop and its second
 *   state.c     the store: opening, failures, what is said of them, growth, stale readers
 *   collect.c   the transaction of each second: collect.h says who books what in it
 *   expose.c    /metrics
 *   admin.c     the sockets: who may, requests in, answers out
 *   api.def     the endpoints, a row each; api_*.c what they do */
#ifndef MASTER_KEEPER_INSIDE_H
#define MASTER_KEEPER_INSIDE_H

#include "base/arena.h"
#include "master/keeper/expose.h"
#include "master/keeper/keeper.h"
#include "shm/store_usage.h"
#include "worker/net/loop.h"

struct collect;
struct admin;

struct keeper_image {                   /* a configuration in the master's window */
	uint64_t generation;            /* 0: none */
	uint64_t at, size;
	const struct conf_model *model;
};

struct keeper {
	struct loop loop;               /* first */
	const struct keeper_start *start;
	struct shared shared;
	struct keeper_image current, coming;
	const struct conf_model *model; /* in force; another after each reload */
	uint64_t generation;
	struct slot *row;
	struct event channel;           /* to the master */
	struct timer second, tick;
	char file[256];                 /* the configuration's, for the history */

	struct store *store;            /* NULL: cannot be used now; state.c */
	struct state {
		bool readonly;          /* it was opened so, for want of more */
		bool broken;            /* keepers died in it: not opened any more */
		bool crashed;           /* the last one did so by its own fault */
		enum store_state said;  /* what the log said last */
		enum store_failure why; /* … and of what kind */
		uint64_t opened;        /* how often: who remembers what it wrote forgets it when this changes */
		uint64_t opened_at;     /* ms */
		uint64_t readers_at;    /* ms: stale readers are looked for */
		uint64_t deaths;        /* of workers, when they were last looked for */
		uint64_t dev, ino, size;        /* of its file */
		uint64_t cut;           /* how often that was changed under us */
		int lock;               /* on the directory: the right to book; -1: not ours */
		uint64_t locked_out;    /* ms: since when another has it */
		bool locked_out_said;
	} state;
	char path[4096];                /* of the store */
	uint64_t retry_at;              /* ms: when writing is tried again; 0: at once */
	struct collect *collect;
	struct admin *admin;
};

/* ---- state.c */

/* First of all: what the keeper before us left. */
void state_begin(struct keeper *);
void state_end(struct keeper *);
/* The store, opened if it can be; NULL: not now (said once in the log and in shared.control). What comes may be for
 * reading only: a write fails then. */
struct store *state_open(struct keeper *);
/* Open, and worth the attempt to write. */
bool state_writable(struct keeper *);
/* Whether it is us who book. Two keepers may live for a while (an upgrade): one of them does, until it ends. */
bool state_owns(struct keeper *);
/* A call of the store failed: says so once, sets the state, closes it if it is of no use any more. */
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
	struct str path, query, body;   /* as received; path without query */
	struct str param[2];            /* what the {…} of the row stand for, decoded */
	char who[64];                   /* for the audit */
	struct arena *arena;            /* for the answer; goes with the request */
};

struct api_answer {
	int status;                     /* 200, 201, 204, 400, 404, 409, 503 … */
	const char *type;               /* "application/json" when NULL */
	struct str body;                /* in the arena, or static */
	struct str allow;               /* of a 405 */
	bool secret;                    /* the body is overwritten as soon as it has left */
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

/* control.overrides, as the store has it; false: not now. */
bool api_overrides(struct keeper *);

#endif
