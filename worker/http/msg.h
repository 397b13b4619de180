/* msg — a request or a response, whatever codec it came by. */
#ifndef HTTP_MSG_H
#define HTTP_MSG_H

#include "worker/http/headers.h"

enum method { METHOD_OTHER, METHOD_GET, METHOD_HEAD, METHOD_POST, METHOD_PUT, METHOD_DELETE,
	      METHOD_PATCH, METHOD_OPTIONS, METHOD_TRACE, METHOD_CONNECT, METHOD_COUNT };

extern const struct str method_name[METHOD_COUNT];
enum method method_of(struct str name);                 /* case-sensitive (RFC 9110 §9.1) */

/* RFC 9110 §9.2.2: repeating it does no harm. */
static inline bool
method_idempotent(enum method m)
{
	return m == METHOD_GET || m == METHOD_HEAD || m == METHOD_PUT || m == METHOD_DELETE ||
	       m == METHOD_OPTIONS || m == METHOD_TRACE;
}

enum body {
	BODY_NONE,                      /* no body: nothing follows the head */
	BODY_LENGTH,                    /* `length` bytes, may be 0 */
	BODY_CHUNKED,                   /* until it ends by itself; trailers may follow */
	BODY_CLOSE,                     /* a response that ends with its connection */
};

struct msg {
	uint8_t method;                 /* enum method; requests */
	uint8_t minor;                  /* of the version, 0 or 1; 1 for h2 too */
	uint8_t body;                   /* enum body */
	bool keep_alive;                /* the sender would go on with the connection */
	bool expect_continue;           /* requests: Expect: 100-continue, and a body is to come */
	bool upgrade;                   /* Connection: upgrade and Upgrade are there, and no body; never h2c */
	bool upgrade_only; /* … and a 2xx would be taken for it (RFC 8441 §5): an error is
			      all else there is */
	bool te_trailers;               /* TE: trailers: the sender takes trailers */
	uint16_t status;                /* responses */
	uint64_t length;                /* BODY_LENGTH; for a response to HEAD too, what it would be */
	struct str method_text;
	struct str target;              /* as received */
	struct str scheme;              /* of an absolute-form target, else empty */
	struct str host;                /* authority without userinfo: "api.example.com:8443", as received */
	struct str hostname;            /* of `host`, without the port; empty: not looked at */
	struct str path, query;         /* as received; query without "?"; "*" for OPTIONS * */
	bool has_query;                 /* a "?" was there, even if nothing follows */
	struct str reason;              /* responses: the reason phrase */
	struct str upgrade_to;          /* value of Upgrade */
	struct headers headers;
};

#endif
