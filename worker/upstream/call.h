/* call — who waits for a stream to a target (worker/upstream/upstream.h). */
#ifndef UPSTREAM_CALL_H
#define UPSTREAM_CALL_H

#include "base/list.h"
#include "worker/http/fault.h"

struct dial;
struct stream;

struct call {
	struct list link;               /* of those that wait for the same connection */
	struct dial *dial;              /* NULL: does not wait */
	/* In a turn of its own. The stream is to be attached. */
	void (*on_ready)(struct call *, struct stream *);
	void (*on_fault)(struct call *, enum fault, int error);
};

#endif
