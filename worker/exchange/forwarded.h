/* forwarded — who the client is, and telling the upstream.
 *
 * Both run before the policies: forwarded_client() first, on the header lines as they
 * came, then forwarded_default(), unless the chain has a policy that does it instead
 * (links->forwards). What the policies do to these lines afterwards has the last word. */
#ifndef EXCHANGE_FORWARDED_H
#define EXCHANGE_FORWARDED_H

#include "worker/exchange/exchange.h"
#include "worker/exchange/trust.h"

/* From x->peer: fills x->trusted and x->client_addr, and who the client is by its
 * certificate (clientcert_begin()); from a trusted peer that says so, x->scheme too.
 * X-Forwarded-For, or Forwarded (RFC 7239) where there is none, is walked from the
 * right: the first address that is not trusted is the client. What can not be read
 * ends the walk. */
void forwarded_client(struct exchange *, const struct trust *);

/* X-Forwarded-For, -Proto and -Host: replaced, or continued when the peer is trusted. */
void forwarded_default(struct exchange *);

enum { FORWARDED_X = 1, FORWARDED_RFC7239 = 2, FORWARDED_REAL_IP = 4 };

/* The same with a choice of what to write; lines that are not written are removed
 * unless the peer is trusted. Lines that only a proxy may say (X-Real-IP,
 * X-Forwarded-Port …) never come from outside. */
void forwarded_write(struct exchange *, unsigned what);

#endif
