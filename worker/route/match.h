/* match — one pattern: "GET,PUT /v1/orders/{id}" from text to a route, and whether it takes a path.
 *
 * The *stem* of a pattern is what goes into the trie: all of an exact path or a template, a prefix
 * without its star, of a regex the literal segments in front ("^/legacy/(\d+)$": "/legacy/"). */
#ifndef ROUTE_MATCH_H
#define ROUTE_MATCH_H

#include "worker/route/build.h"

enum { MATCH_DEPTH = 128 };             /* segments of a pattern */

/* Fills methods, form, path, captures and regex of the route from its conf->match. Says what is wrong and
 * returns -1. */
int match_parse(struct build *, struct route *);

/* Takes the next segment off the front of a path that follows a slash; false when there is none left. */
static inline bool
match_segment(const char **at, const char *end, struct str *segment)
{
	const char *p = *at;

	if (p > end)
		return false;
	while (p < end && *p != '/')
		p++;
	*segment = (struct str){ *at, (size_t)(p - *at) };
	*at = p + 1;
	return true;
}

/* Whether its leaf takes everything below: a prefix or a regex. */
static inline bool
match_open(const struct route *r)
{
	return r->form >= ROUTE_PREFIX;
}

static inline struct str
match_stem(const struct route *r)
{
	return str_first(r->path, r->path.len - (r->form == ROUTE_PREFIX));
}

static inline bool
match_method(const struct route *r, uint8_t method, struct str text)
{
	if (!r->methods)
		return true;
	if (!(r->methods >> method & 1))
		return false;
	if (method != METHOD_OTHER)
		return true;
	for (uint32_t i = 0; i < r->nother; i++)
		if (str_eq(r->other_methods[i], text))
			return true;
	return false;
}

/* Whether the pattern takes the path; then `value` (may be NULL) gets the captures. */
bool match_path(const struct route *, const struct regex_jit *, struct str path, struct str *value);

#endif
