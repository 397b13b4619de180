/* secure — TLS of listeners and upstreams, between the words of the configuration and those of worker/net/tls.h. */
#ifndef WORKER_SECURE_H
#define WORKER_SECURE_H

#include "worker/exchange/context.h"

/* All certificates, keys and chains of a model: what is wrong goes to the diag. By the builder, and `check`. */
void secure_check(const struct conf_model *, struct arena *, struct diag *);

/* A generation's listeners: fills gen->tls. -1 with a message in worker->error. */
int secure_bind(struct generation *);
void secure_unbind(struct generation *);

#endif
