/* expose — the metrics of a gateway as Prometheus text 0.0.4, made of what lies in the region alone: for
 * GET /metrics of the keeper and for `postern stat -o prom`. */
#ifndef MASTER_KEEPER_EXPOSE_H
#define MASTER_KEEPER_EXPOSE_H

#include "conf/model.h"
#include "shm/shared.h"

/* `model` may be NULL (the command line). The caller frees. */
char *expose(const struct shared *, const struct conf_model *, size_t *len);

#endif
