/* grpc — what the gateway does for gRPC beyond HTTP/2, and nobody else does.
 *
 * A request is gRPC by its Content-Type. Its grpc-timeout is the deadline of the exchange, if no other is nearer, and
 * goes on to the upstream as what is left of it. What the gateway answers by itself is said as gRPC says it: status
 * 200, no body, grpc-status and grpc-message in the head ("Trailers-Only"); a response that breaks off ends with such
 * trailers. The status of every call is noted, for logs, metrics and `postern why`.
 *
 * gRPC-Web is the same in a framing that browsers can read; policy/grpc_web.c translates it. */
#ifndef EXCHANGE_GRPC_H
#define EXCHANGE_GRPC_H

#include "worker/exchange/exchange.h"

enum grpc { GRPC_NOT, GRPC_PLAIN, GRPC_WEB, GRPC_WEB_TEXT };

enum grpc_status {
	GRPC_OK, GRPC_CANCELLED, GRPC_UNKNOWN, GRPC_INVALID_ARGUMENT, GRPC_DEADLINE_EXCEEDED, GRPC_NOT_FOUND,
	GRPC_ALREADY_EXISTS, GRPC_PERMISSION_DENIED, GRPC_RESOURCE_EXHAUSTED, GRPC_FAILED_PRECONDITION, GRPC_ABORTED,
	GRPC_OUT_OF_RANGE, GRPC_UNIMPLEMENTED, GRPC_INTERNAL, GRPC_UNAVAILABLE, GRPC_DATA_LOSS, GRPC_UNAUTHENTICATED,
	GRPC_STATUS_COUNT
};

extern const char *const grpc_status_name[GRPC_STATUS_COUNT];   /* "OK", "CANCELLED" … */

/* What a Content-Type says; *rest is what follows the name: "", "+proto", ";…". */
enum grpc grpc_kind(struct str content_type, struct str *rest);
/* A grpc-timeout ("100m", "5S") in ns, rounded up; false: it is none. */
bool grpc_timeout(struct str, uint64_t *ns);
/* What a status of HTTP, or a fault (FAULT_NONE: only the status is known), is in gRPC. */
enum grpc_status grpc_status_of(int status, enum fault);
/* As grpc-message: percent-encoded where it must be. */
struct str grpc_message(struct arena *, struct str);

/* A request has come: fills x->grpc. */
void grpc_begin(struct exchange *);
/* x->deadline is set: perhaps the client's is nearer. */
void grpc_deadline(struct exchange *);
/* The request is made ready for the upstream. */
void grpc_prepare(struct exchange *);
/* Lines of the upstream that may bear the status: trailers, or a head without a body. */
void grpc_note(struct exchange *, const struct headers *);
/* Whether the call ended with what is a 5xx elsewhere. */
bool grpc_is_failure(const struct exchange *);
/* The answer of our own in x->response is about to be sent: says it in gRPC. */
void grpc_answer(struct exchange *);
/* The response is broken off: ends it with trailers that say why. false: this is no such response. */
bool grpc_cut(struct exchange *, enum fault);

#endif
