/* connect — CONNECT (RFC 9110 §9.3.6): a tunnel to a name and port that the listener allows.
 *
 * `connect.allow` says where to: a name or address and a port, or "*." and a domain for all names below it. Names are
 * resolved when they are asked for; what is connected to is the address that was looked at. Loopback, link-local and
 * unspecified addresses are never reached by a name: only where the list has the address itself. */
#ifndef EXCHANGE_CONNECT_H
#define EXCHANGE_CONNECT_H

#include "worker/exchange/steps.h"

struct connect;                         /* a tunnel that is being made */

/* After the policies of the gateway: begins, or answers 403. */
enum step connect_act(struct exchange *);

/* Ends what is under way. Twice does no harm. */
void connect_forget(struct exchange *);

/* It failed, or took too long, before there was a tunnel: answers. */
void connect_failed(struct exchange *, enum fault, int error);

enum connect_verdict {
	CONNECT_DENIED,
	CONNECT_NAME,                   /* allowed: resolve it */
	CONNECT_ADDRESS,                /* allowed: it is an address, written so in the list */
};

/* What the list says of a target. */
enum connect_verdict connect_allowed(const struct conf_connect *, struct str host, struct str port, struct addr *);

/* Addresses that no name leads to. */
bool connect_is_local(const struct addr *);

#endif
