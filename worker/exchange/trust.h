/* trust — peers whose word about the client is believed: `trust` of a listener, compiled.
 */
#ifndef EXCHANGE_TRUST_H
#define EXCHANGE_TRUST_H

#include "conf/model.h"
#include "worker/net/addr.h"

struct trust {                          /* of one listener */
	const struct prefix *at;
	size_t n;
};

/* One for each listener of the model, by conf_listener.index. What is no address or
 * prefix goes to the diag; NULL then. */
const struct trust *
trust_compile(const struct conf_model *, struct arena *, struct diag *);

bool trust_has(const struct trust *, const struct addr *);

#endif
