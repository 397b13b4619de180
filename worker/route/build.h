/* build — what the parts of the router share while an image is built. Not for others. */
#ifndef ROUTE_BUILD_H
#define ROUTE_BUILD_H

#include "worker/http/uri.h"
#include "worker/route/route.h"

struct build {
	struct arena *image;
	struct diag *diag;
	struct uri_rules rules;
	const struct regex **regexes;   /* malloc'd; moves to the image at the end */
	size_t nregexes;
};

/* Compiles a pattern that stands at `w`, `offset` bytes into it, and gives it an id. Says what is wrong, for
 * the route `name`; NULL then. */
const struct regex *build_regex(struct build *, struct str pattern, struct str name, struct where w,
				size_t offset);

/* The tables of every listener (host.c). */
void host_compile(struct build *, const struct conf_model *, struct router *);

#endif
