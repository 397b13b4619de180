/* links — the chain of policies of a route, flattened when the image is built. */
#ifndef EXCHANGE_LINKS_H
#define EXCHANGE_LINKS_H

#include "worker/exchange/policy.h"
#include "worker/route/route.h"

struct link {
	const struct policy *policy;
	const void *self;
	const struct conf_policy *conf; /* its name and place */
	uint32_t state;                 /* offset of its state */
	const char *from;               /* "gateway", "service" or "route" */
	uint32_t series;                /* of the policy; set by the builder, as `file` */
	uint16_t file;                  /* series of the file that defines it */
};

struct links {
	const struct link *at;
	uint32_t n;
	uint32_t state_size;            /* of all together */
	bool preflight;                 /* one of them answers CORS preflights */
	bool forwards;                  /* one of them does what forwarded_default() does */
	bool has_response, has_done, has_request;
	bool identifies;                /* one of them finds out who the consumer is */
};

/* Builds the chains of the gateway, of every service and route, compiles rewrite and
 * redirect, checks captures and `without`. *gateway gets the chain for requests that no
 * service takes. -1 on errors. */
int links_compile(const struct conf_model *, struct router *,
		  const struct links **gateway, struct arena *, struct diag *);

#endif
