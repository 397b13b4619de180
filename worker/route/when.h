/* when — conditions beside the path: headers, query, cookies, client addresses.
 *
 * All of a route must hold. A value is compared as it is; "*" means that there is one, and
 * "~ regex" that one is like that. Of several lines of a header, one suffices. */
#ifndef ROUTE_WHEN_H
#define ROUTE_WHEN_H

#include "worker/net/addr.h"
#include "worker/route/build.h"

enum when_kind { WHEN_HEADER, WHEN_COOKIE, WHEN_QUERY, WHEN_CLIENT };
enum when_test { WHEN_EQUAL, WHEN_PRESENT, WHEN_REGEX };

struct predicate {
	uint8_t kind, test;             /* enum when_kind, enum when_test */
	uint8_t token;                  /* of a header */
	struct str name, value;
	const struct regex *regex;
	const struct prefix *prefixes;  /* of WHEN_CLIENT: one of them has the client */
	uint32_t nprefixes;
};

/* Fills the predicates of the route from its conf->when. Says what is wrong and returns -1. */
int when_compile(struct build *, struct route *);

/* NULL when all hold, else the first that does not. */
const struct predicate *when_fails(const struct route *, const struct route_request *);

/* "header x-tenant" */
struct str when_text(const struct predicate *, char *buf, size_t size);

#endif
