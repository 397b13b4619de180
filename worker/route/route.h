/* route — from a request to the route that takes it, as compiled into the image.
 *
 * Domains: exact names by hash, then the longest wildcard suffix, then the default ("*").
 * The routes of a service are ordered, first match wins; they are compiled into a trie over
 * path segments that carries the written order, with regexes and predicates as guards of its
 * leaves, so that a match costs the depth of the path and not the number of routes.
 *
 * What a pattern takes:
 *   /a          that path; "/a/" is another one
 *   /a/{id}     one segment that is not empty, for each capture
 *   /a/[*]      (without the brackets) "/a/" and everything below; not "/a", as `location /a/` of nginx
 *   ~ ^/a$      what PCRE2 says of the whole path, normalised
 * A route that takes GET takes HEAD. A path that some route would take if the method were another
 * one, `when` included, is answered with 405, any other with 404. */
#ifndef ROUTE_ROUTE_H
#define ROUTE_ROUTE_H

#include "base/map.h"
#include "base/regex.h"
#include "conf/model.h"
#include "worker/http/fault.h"
#include "worker/http/msg.h"
#include "worker/net/addr.h"

enum { ROUTE_CAPTURES = 16 };

struct links;                           /* worker/exchange/links.h */
struct template;                        /* worker/exchange/template.h */
struct trie;
struct predicate;

enum route_form {
	ROUTE_EXACT,
	ROUTE_TEMPLATE,
	ROUTE_PREFIX,
	ROUTE_REGEX,
	ROUTE_BROKEN, /* its match has errors; never served */
};

struct route {
	const struct conf_route *conf;
	const struct service *service;
	uint32_t order;                 /* in its service, from 0 */
	uint32_t series;                /* of shm/stats.h; set by the builder, as `file` */
	uint16_t file;                  /* series of the file that it stands in */
	uint32_t next;                  /* the router's: the next one of its leaf, order + 1; 0: none */
	uint16_t methods; /* bit 1 << enum method (METHOD_OTHER: some of other_methods);
			     0: every method */
	uint8_t form;                   /* enum route_form */
	uint8_t ncaptures;
	uint32_t nwhen, nother;
	const struct str *other_methods;        /* names beyond enum method */
	struct str path;                /* the pattern, normalised; of a regex, the literal front of it */
	const struct str *capture;      /* ncaptures names; "*" is the rest of a prefix */
	const struct regex *regex;
	const struct predicate *when;   /* all must hold; NULL: none */
	/* Filled by worker/exchange when it compiles. */
	const struct links *links;      /* its policies */
	const struct template *rewrite, *redirect;
	uint64_t total_weight;          /* of `to` */
};

struct service {
	const struct conf_service *conf;
	struct route *routes;           /* in order */
	uint32_t nroutes;
	const struct trie *trie;
	uint32_t series;                /* of shm/stats.h; set by the builder, as `file` */
	uint16_t file;
	const struct links *links;      /* of gateway and service: for requests that no route takes */
};

struct domains {                        /* of one listener */
	struct map exact;               /* host → struct service */
	struct map wildcard;            /* ".example.com" → struct service */
	const struct service *any;      /* "*"; NULL: none */
	uint32_t wildcard_labels;       /* of the longest suffix */
};

struct router {
	struct domains *listener;       /* by conf_listener.index */
	struct service *services;       /* by conf_service.index */
	size_t nlisteners, nservices;
	const struct regex **regexes;   /* all, for regex_bind() */
	size_t nregexes;
};

/* Compiles; says what is wrong (bad patterns, routes that can never match, domains claimed twice …). NULL on errors. */
struct router *route_compile(const struct conf_model *, struct arena *, struct diag *);

/* The same of a model that may have errors (conf_read()). What could not be compiled is left out, for finding
 * what else is wrong; nothing can be found in a router with errors. */
struct router *route_compile_partly(const struct conf_model *, struct arena *, struct diag *);

struct route_request {                  /* what a match looks at */
	uint32_t listener;
	struct str host;                /* without port, lower case */
	uint8_t method;
	struct str method_text;
	struct str path, query;         /* path normalised */
	const struct headers *headers;
	const struct addr *client;
	const struct regex_jit *jit;    /* may be NULL */
	struct arena *arena;            /* for decoded query values */
};

/* Why a route was passed over; for `postern route` and `why`. */
enum route_miss { ROUTE_MISS_PATH, ROUTE_MISS_METHOD, ROUTE_MISS_WHEN };
struct route_trace {
	void (*tried)(struct route_trace *, const struct route *, enum route_miss, struct str detail);
};

struct route_match {
	const struct service *service;  /* NULL: no such host here */
	const struct route *route;      /* NULL: see fault */
	enum fault fault;               /* NO_SERVICE, NO_ROUTE, BAD_METHOD_ROUTE */
	struct str value[ROUTE_CAPTURES];       /* of route->capture; slices of the path */
	/* Routes whose path fits and that were passed over, the first few, for the recorder. */
	struct { const struct route *route; enum route_miss why; } miss[4];
	uint8_t nmisses;
	uint16_t allow;                 /* BAD_METHOD_ROUTE: methods that the path takes */
	struct str allow_other[4];
};

const struct service *route_service(const struct router *, uint32_t listener, struct str host);

/* `trace` may be NULL. Returns whether there is a route. */
bool route_find(const struct router *, const struct route_request *, struct route_match *,
		struct route_trace *trace);

/* "GET, HEAD, POST" for an Allow header. */
struct str route_allow(const struct route_match *, struct arena *);

#endif
