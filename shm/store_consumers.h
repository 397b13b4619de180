/* store_consumers — consumers, their keys, plans; and the audit of changes.
 *
 * A key is stored as its SHA-256 and its row repeats what a worker must know of its consumer, so
 * that a request costs one read. Names are at most 63 bytes of [A-Za-z0-9._@-] (the admin API checks). */
#ifndef SHM_STORE_CONSUMERS_H
#define SHM_STORE_CONSUMERS_H

#include "base/crypto.h"
#include "shm/store.h"

enum { CONSUMER_NAME = 64, KEY_ID = 16, CONSUMER_KEYS = 16 };   /* bytes with NUL; keys of a consumer */

enum { CONSUMER_SUSPENDED = 1, KEY_REVOKED = 2, KEY_SUSPENDED = 4 };     /* states */

struct consumer_row {                   /* by name */
	char name[CONSUMER_NAME];
	char plan[CONSUMER_NAME];       /* empty: none */
	uint32_t state;                 /* CONSUMER_SUSPENDED */
	uint32_t of_file;               /* 1: defined by a file; this row only suspends it */
	int64_t created, changed;       /* ms since 1970 */
	char note[128];
};

struct key_row {                        /* by digest: what a worker reads */
	struct digest digest;
	char id[KEY_ID];                /* first 12 hex digits of the digest: how people and logs name it */
	char consumer[CONSUMER_NAME];
	char plan[CONSUMER_NAME];       /* of the consumer */
	uint32_t state;                 /* KEY_* and CONSUMER_* */
	uint32_t spare;
	int64_t created, expires;       /* ms since 1970; expires 0: never */
	char note[64];
};

struct plan_row {                       /* by name; texts as in a file: conf_plan_texts() makes a plan of them */
	char name[CONSUMER_NAME];
	char rate[128];                 /* "100/s" or several, separated by blanks; empty: no limit */
	char quota[128];                /* "5000000/month" or several */
	char zone[64];                  /* of calendar windows: "Europe/Berlin"; empty: UTC */
	uint64_t burst;
	int64_t created, changed;
};

struct audit_row {                      /* by time and number */
	int64_t at;                     /* ms since 1970 */
	char who[64];                   /* "uid 0 (root)", "token ab12…", "127.0.0.1:4711" */
	char what[64];                  /* "consumer add", "key rotate" … */
	char name[CONSUMER_NAME];
	char before[256], after[256];   /* JSON, cut */
};

/* All find: 1 and filled, 0 not there, -1 failed. */
int store_key_find(struct store *, const struct digest *, struct key_row *);
int store_consumer_find(struct store *, const char *name, struct consumer_row *);
int store_plan_find(struct store *, const char *name, struct plan_row *);

/* Adds or replaces. Consumers: plan and state go into all their keys (of one of_file only the state). Keys: take both
 * from the row of their consumer, if there is one; a seventeenth of a consumer is refused. */
int store_consumer_put(struct store *, const struct consumer_row *);
/* With its keys. Usage stays. 1: gone, 0: there was none. */
int store_consumer_drop(struct store *, const char *name);
int store_key_put(struct store *, const struct key_row *);
int store_key_drop(struct store *, const struct digest *);
int store_plan_put(struct store *, const struct plan_row *);
int store_plan_drop(struct store *, const char *name);
/* At 20,000 the oldest makes room. */
int store_audit_add(struct store *, const struct audit_row *);

/* In the order of their names, beginning after `after` (NULL or "": from the start), until fn returns false. No call of
 * the store from within fn. */
int store_consumers(struct store *, const char *after, bool (*fn)(void *, const struct consumer_row *), void *);
int store_plans(struct store *, bool (*fn)(void *, const struct plan_row *), void *);
/* Of a consumer, by creation. */
int store_keys(struct store *, const char *consumer, bool (*fn)(void *, const struct key_row *), void *);
/* The newest first. */
int store_audit(struct store *, bool (*fn)(void *, const struct audit_row *), void *);
/* How many consumers and keys there are (no walk). */
int store_counts(struct store *, uint64_t *consumers, uint64_t *keys);

#endif
