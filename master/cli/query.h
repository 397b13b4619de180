/* query — which records `postern trace` shows: "route=orders-api/create status>=500".
 *
 * Terms with blanks between them, all of which must hold: FIELD OP VALUE.
 *   text    service route consumer plan method host path client reason policy target id
 *           = and !=; "*" in the value stands for anything; "…" around a value with blanks.
 *           route, policy and target also by what stands behind the slash of their names;
 *           policy: any that had a say, target: any that was tried; id: its first digits do
 *   number  status (also 5xx)      = != < <= > >=
 *   time    slow: how long it took = != < <= > >=, in us, ms, s (ms without a unit) */
#ifndef CLI_QUERY_H
#define CLI_QUERY_H

#include "base/str.h"
#include "master/cli/record_text.h"

enum { QUERY_TERMS = 16 };

enum query_field {
	QUERY_SERVICE, QUERY_ROUTE, QUERY_CONSUMER, QUERY_PLAN, QUERY_METHOD, QUERY_HOST, QUERY_PATH,
	QUERY_CLIENT, QUERY_REASON, QUERY_POLICY, QUERY_TARGET, QUERY_ID,
	QUERY_STATUS, QUERY_SLOW,       /* numbers from here on */
	QUERY_FIELDS
};

struct query_term {
	uint8_t field;                  /* enum query_field */
	bool negated;
	struct str text;                /* slice of the query */
	uint64_t low, high;             /* of a number; both included */
};

struct query {
	struct query_term term[QUERY_TERMS];
	unsigned n;
};

struct query_error {
	size_t at;                      /* byte of the query that cannot be */
	char text[160];
};

/* The empty query takes all. -1 with *error. */
int query_parse(struct str, struct query *, struct query_error *);

bool query_takes(const struct query *, const struct record_view *);

/* Whether `s` is what `pattern` says; "*" stands for any bytes. */
bool query_glob(struct str pattern, struct str s);

#endif
