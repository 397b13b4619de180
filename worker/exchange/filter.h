/* filter — bodies that are changed on their way through the exchange.
 *
 * A policy sets x->filter in its request(), for bodies of this one exchange; x->filter_state is its own. It can switch
 * it off until the head of the response is sent. One exchange has one filter. */
#ifndef EXCHANGE_FILTER_H
#define EXCHANGE_FILTER_H

#include "worker/exchange/exchange.h"

struct filter {
	/* Puts something else in the place of bytes of the request's body, valid until the next call; may hold bytes
	 * back, but none at the `end`. false: they can not be read (400). NULL: they go as they are. */
	bool (*request)(struct exchange *, struct str *bytes, bool end);
	/* The same for the response; it can not fail. */
	void (*response)(struct exchange *, struct str *bytes, bool end);
	/* What the trailers of the response become: the last bytes of its body. NULL: they stay what they are. */
	struct str (*trailers)(struct exchange *, const struct headers *);
};

#endif
