/* request-id — gives every request an id, tells it to the upstream and to the client.
 *
 * An id that came with the request is kept only when `accept` allows it and it is made of
 * letters, digits and -._~+/=:@ alone, 128 at most; else it is replaced. */
#include "worker/policy/lib/line.h"
#include "worker/policy/policies.h"

enum { ID_MAX = 128 };

enum accept { ACCEPT_TRUSTED, ACCEPT_ALWAYS, ACCEPT_NEVER };
static const char *const accept_words[] = { "trusted", "always", "never", NULL };

struct request_id {
	struct str header;
	int accept;
	bool request, response;
};

static const struct conf_field fields[] = {
	CONF_STR(struct request_id, header, "x-request-id",
		 "the header line that carries it"),
	CONF_ENUM(struct request_id, accept, "trusted", accept_words,
		  "whose ids are kept: those of peers in the listener's `trust`, "
		  "everyone's, or no one's"),
	CONF_BOOL(struct request_id, request, "true", "whether the upstream is told"),
	CONF_BOOL(struct request_id, response, "true", "whether the client is told"),
	CONF_END
};

static int
check(struct conf_load *load, void *self, struct where w)
{
	const struct request_id *p = self;

	return line_check_name(load, p->header, w, LINE_REQUEST, false);
}

static bool
is_id(struct str s)
{
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.at[i];

		if ((unsigned)(char_lower(c) - 'a') >= 26 && (unsigned)(c - '0') >= 10 &&
		    (!c || !strchr("-._~+/=:@", c)))
			return false;
	}
	return s.len && s.len <= ID_MAX;
}

static enum verdict
request(struct exchange *x, const void *self, void *state)
{
	const struct request_id *p = self;
	const struct header *h;

	(void)state;
	if ((p->accept == ACCEPT_ALWAYS || (p->accept == ACCEPT_TRUSTED && x->trusted)) &&
	    (h = headers_find(&x->request.headers, p->header)) && is_id(h->value)) {
		x->id_text = h->value;
		x->id_made = false;
	}
	if (p->request)
		headers_set(&x->request.headers, &x->arena, p->header, exchange_id(x));
	else
		headers_remove(&x->request.headers, p->header);
	return PASS;
}

static void
response(struct exchange *x, const void *self, void *state)
{
	const struct request_id *p = self;

	(void)state;
	if (p->response)
		headers_set(&x->response.headers, &x->arena, p->header, exchange_id(x));
}

const struct policy request_id_policy = {
	.conf = {
		.name = "request-id",
		.help = "Gives every request an id that both sides are told",
		.size = sizeof(struct request_id),
		.fields = fields,
		.check = check,
	},
	.request = request,
	.response = response,
};
