/* api — what the endpoints share: finding them, JSON in and out, the store, times. Nobody outside the keeper's
 * admin plane includes this. */
#ifndef KEEPER_API_H
#define KEEPER_API_H

#include <jansson.h>

#include "master/keeper/inside.h"
#include "shm/store_consumers.h"

/* The row of a request; its parameters go into r->param. NULL: the answer says 404 or 405. */
const struct api *api_find(struct str method, struct api_request *r, struct api_answer *);
/* Whether `path`, percent-encoded as received, is one of `pattern`: its {…} into `param`, decoded. */
bool api_match(const char *pattern, struct str path, struct arena *, struct str param[2]);

#define API(method, path, fn, writes, help) void fn(const struct api_request *, struct api_answer *);
#include "master/keeper/api.def"
#undef API

/* ---- JSON */

/* Answers with a document, and lets go of it. */
void api_json(const struct api_request *, struct api_answer *, int status, json_t *doc);
/* The body: an object that has no member but those of `known` (NULL-terminated). No body is an empty object.
 * NULL: answered. */
json_t *api_body(const struct api_request *, struct api_answer *, const char *const *known);
/* A text member of at most `size` - 1 bytes, without control characters, copied to `to`. 1, 0: not there (`to` is
 * left as it is), -1: answered. null is an empty text. */
int api_text(const struct api_request *, struct api_answer *, const json_t *, const char *key, char *to, size_t size);
/* Sets a member to a text; empty: null. What is no UTF-8 is shown as far as it is. */
void api_set(json_t *, const char *key, struct str value);
/* A time, ms since 1970, as "2026-11-21T11:10:03Z"; 0: null. */
void api_set_time(json_t *, const char *key, int64_t ms);

/* A name of a consumer or plan: 1 to 63 of [A-Za-z0-9._@-]. false: answered. */
bool api_name(const struct api_request *, struct api_answer *, struct str name, const char *what);

/* ?limit=N of at most `most`; -1: answered. */
int api_limit(const struct api_request *, struct api_answer *, int usual, int most);

/* A time of the query: "2026-11", "2026-11-21", "2026-11-21T11:10:03Z", seconds since 1970, or so long ago:
 * "30d". In seconds since 1970. false: it is none. */
bool api_time(struct str text, int64_t now, int64_t *s);

/* ---- the store */

/* Open; or NULL, answered with 503. */
struct store *api_store(const struct api_request *, struct api_answer *);
/* A call failed: answers 503. */
void api_store_failed(const struct api_request *, struct api_answer *);

struct api_change {
	int (*write)(struct store *, void *arg);        /* within the transaction; -1: failed. Perhaps called again. */
	void *arg;
	const char *what;               /* for the audit: "consumer add" */
	struct str name;
	json_t *before, *after;         /* may be NULL; let go of by api_write() */
};

/* Writes a change and its row of the audit in one transaction, and tells the workers. false: answered. */
bool api_write(const struct api_request *, struct api_answer *, struct api_change);

/* How many consumers of files are suspended: among what is booked (shm/store_usage.h), as a uint64_t. */
#define API_OVERRIDES "admin.overrides"

/* ---- consumers, as the endpoints show them */

enum api_origin { API_FAILED, API_NOBODY, API_OF_STORE, API_OF_FILE };

/* Finds a consumer in files and store. A consumer of a file has a row that says its name, plan and state. API_FAILED
 * and API_NOBODY: answered. */
enum api_origin api_consumer_find(const struct api_request *, struct api_answer *, struct str name,
				  struct consumer_row *, const struct conf_consumer **);
/* "conf.d/x.conf:12" */
struct str api_where(const struct api_request *, struct where);
/* Answers 409: a consumer or plan of a file is changed there. */
void api_of_file(const struct api_request *, struct api_answer *, struct str name, struct where);
/* The plan of that name, of files or store, into `plan`; texts in the arena. 1, 0: there is none, -1: answered. */
int api_plan_find(const struct api_request *, struct api_answer *, struct str name, struct conf_plan *);
json_t *api_key_list(const struct api_request *, const struct consumer_row *, const struct conf_consumer *);

#endif
