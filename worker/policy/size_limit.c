/* size-limit — refuses requests that are larger than a service wants to see.
 *
 * A body that says its length is refused at once, with 413; one that does not (chunked)
 * is cut off as soon as it passes the limit. It can only lower what `max_body` and the
 * limits of the gateway allow. */
#include "worker/policy/policies.h"

struct size_limit {
	uint64_t max;
	uint64_t query;
	uint64_t headers;
};

static const struct conf_field fields[] = {
	CONF_SIZE(struct size_limit, max, NULL, 1, INT64_MAX,
		  "largest request body; 413 above"),
	CONF_SIZE(struct size_limit, query, NULL, 1, 1 << 20, "longest query; 414 above"),
	CONF_SIZE(struct size_limit, headers, NULL, 1, 1 << 20,
		  "names and values of all header lines together; 431 above"),
	CONF_END
};

static int
check(struct conf_load *load, void *self, struct where w)
{
	const struct size_limit *p = self;

	if (p->max | p->query | p->headers)
		return 0;
	conf_error(load, 434, w, "this policy limits nothing; say max = \"1MiB\"");
	return -1;
}

static uint64_t
headers_size(const struct headers *h)
{
	uint64_t size = 0;

	for (uint32_t i = 0; i < h->n; i++)
		if (!h->at[i].gone)
			size += h->at[i].name.len + h->at[i].value.len;
	return size;
}

static enum verdict
request(struct exchange *x, const void *self, void *state)
{
	const struct size_limit *p = self;
	enum fault fault = FAULT_NONE;

	(void)state;
	if (p->query && x->request.query.len > p->query)
		fault = FAULT_TARGET_TOO_LONG;
	else if (p->headers && headers_size(&x->request.headers) > p->headers)
		fault = FAULT_HEAD_TOO_LARGE;
	else if (p->max && x->request.body == BODY_LENGTH && x->request.length > p->max)
		fault = FAULT_BODY_TOO_LARGE;
	if (fault) {
		exchange_answer(x, fault);
		return ANSWER;
	}
	if (p->max && (!x->body_limit || x->body_limit > p->max))
		x->body_limit = p->max;
	return PASS;
}

const struct policy size_limit_policy = {
	.conf = {
		.name = "size-limit",
		.help = "Refuses requests that are too large",
		.size = sizeof(struct size_limit),
		.fields = fields,
		.check = check,
	},
	.request = request,
};
