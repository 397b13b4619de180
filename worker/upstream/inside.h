/* inside — what the files of upstream share; nobody else includes it. */
#ifndef UPSTREAM_INSIDE_H
#define UPSTREAM_INSIDE_H

#include "worker/upstream/upstream.h"

/* A connection to the target more, or less; the last one of a target that nobody uses takes it along. */
void target_opened(struct target *);
void target_closed(struct target *);

/* The codec on a connection that was made: busy. NULL with errno: descriptor and session are still the caller's. */
struct conn *conn_made(struct target *, int fd, bool h2, struct tls *);
/* As pool_take(), uncounted. */
struct stream *stream_take(struct target *);
/* Nobody may have taken a stream of it. */
void conn_unused(struct conn *);

#endif
