/* local — answers that the gateway makes itself: problem documents (RFC 9457). */
#ifndef HTTP_LOCAL_H
#define HTTP_LOCAL_H

#include "base/arena.h"
#include "worker/http/fault.h"
#include "worker/http/msg.h"

struct local_answer {
	struct str type;                /* media type */
	struct str body;
};

/* The document for a fault: application/problem+json, or HTML where `accept` prefers
 * it. `status`: as sent; `detail` may be empty; `instance`: path; `request_id` may be
 * empty. */
struct local_answer local_problem(struct arena *, enum fault, int status, struct str detail, struct str instance,
				  struct str request_id, struct str accept);

#endif
