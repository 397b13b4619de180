/* directory — who a key belongs to: consumers of the files first, then those of the store.
 *
 * A worker's own view: the store is opened when it is first asked for and the keeper says that it is good
 * (shm/control.h), opened again after a failure at most once a second. A key of the store costs one
 * LMDB read; plans of the store are kept and read again when the store's epoch has changed. What the store says of
 * a key (revoked, suspended, expired) holds from the moment in which it was written. */
#ifndef EXCHANGE_DIRECTORY_H
#define EXCHANGE_DIRECTORY_H

#include "conf/model.h"
#include "shm/shared.h"

struct directory;

enum directory_verdict {
	DIRECTORY_FOUND,
	DIRECTORY_UNKNOWN,              /* nobody's key */
	DIRECTORY_REVOKED, DIRECTORY_EXPIRED, DIRECTORY_SUSPENDED,
	DIRECTORY_UNAVAILABLE,          /* not in the files, and the store cannot be read: nobody can say */
};

struct directory_answer {               /* all of it lives as long as the arena that was given */
	enum directory_verdict verdict;
	struct str consumer, key_id;    /* also of who is refused, where it is known */
	const struct conf_plan *plan;   /* NULL: none */
	bool plan_missing;              /* it names a plan that nobody defines: is refused */
};

/* `statedir`: where the store lies. */
struct directory *directory_new(struct str statedir, struct shared *);
void directory_free(struct directory *);

/* A model is about to go: what was found in it is not remembered. */
void directory_forget(struct directory *);

/* `key`: as the client sent it. */
void directory_find(struct directory *, const struct conf_model *, struct str key, int64_t wall_ms, struct arena *,
		    struct directory_answer *);

#endif
