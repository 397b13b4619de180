/* dns — names to addresses while the loop goes on, by c-ares: hosts file and name servers
 * as the system has them.
 *
 * For names that are not known when a configuration is built: those of CONNECT. Nothing is
 * kept: an answer is as fresh as the resolver of the machine. */
#ifndef NET_DNS_H
#define NET_DNS_H

#include "base/str.h"
#include "worker/net/addr.h"
#include "worker/net/loop.h"

enum { DNS_ADDRESSES = 8, DNS_NAME = 255 };

struct dns;                             /* of a worker */

struct dns_query {
	struct dns_lookup *lookup;      /* NULL: nothing is asked */
	/* In a turn of its own. n 0: `error` says why. IPv4 first; at most DNS_ADDRESSES. Ports are 0. */
	void (*on_answer)(struct dns_query *, const struct addr *at, unsigned n, const char *error);
};

struct dns *dns_open(struct loop *);            /* nothing is read before the first question */
void dns_close(struct dns *);                   /* before the last turn of the loop */

/* Asks, once; `name` is copied. Longer ones than DNS_NAME do not resolve. */
void dns_ask(struct dns *, struct dns_query *, struct str name);
/* Wants no answer any more. Twice does no harm. */
void dns_cancel(struct dns_query *);

#endif
