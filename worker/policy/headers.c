/* headers — sets, adds and removes header lines of the request and of the response.
 *
 * In this order: remove, set, add. Values are templates. Lines that belong to one
 * connection, and those that frame a body, are refused at load. A value that turns out to
 * hold a control character is never sent: such a request is refused, such a response goes
 * without the line. */
#include "worker/exchange/template.h"
#include "worker/http/uri.h"
#include "worker/policy/lib/line.h"
#include "worker/policy/policies.h"

struct side {
	struct conf_strs remove;
	struct template_pairs set, add;
};

struct headers_policy {
	struct side request, response;
};

static const struct conf_field side_fields[] = {
	CONF_STRS(struct side, remove, "header lines to remove, by name"),
	CONF_VIA(struct side, set, template_pairs_parse, NULL,
		 "header lines to set: what was there of that name goes"),
	CONF_VIA(struct side, add, template_pairs_parse, NULL,
		 "header lines to add to what is there"),
	CONF_END
};

static const struct conf_field fields[] = {
	CONF_GROUP(struct headers_policy, request, side_fields,
		   "what is done to requests"),
	CONF_GROUP(struct headers_policy, response, side_fields,
		   "what is done to responses"),
	CONF_END
};

static int
check_pairs(struct conf_load *load, const struct template_pairs *pairs,
	    enum line_side side, bool set)
{
	int rc = 0;

	for (size_t i = 0; i < pairs->n; i++) {
		const struct template_pair *p = &pairs->at[i];

		if (line_check_name(load, p->key, p->key_where, side,
				    set && side == LINE_REQUEST) < 0 ||
		    line_check_value(load, p->value->text, p->value->where) < 0)
			rc = -1;
	}
	return rc;
}

static int
check_side(struct conf_load *load, const struct side *s, enum line_side side)
{
	int rc = 0;

	for (size_t i = 0; i < s->remove.n; i++)
		if (line_check_name(load, s->remove.at[i], s->remove.where[i], side,
				    false) < 0)
			rc = -1;
	if (check_pairs(load, &s->set, side, true) < 0)
		rc = -1;
	if (check_pairs(load, &s->add, side, false) < 0)
		rc = -1;
	return rc;
}

static int
check(struct conf_load *load, void *self, struct where w)
{
	const struct headers_policy *p = self;
	int rc = check_side(load, &p->request, LINE_REQUEST);

	if (check_side(load, &p->response, LINE_RESPONSE) < 0)
		rc = -1;
	if (!rc && !(p->request.remove.n | p->request.set.n | p->request.add.n |
		     p->response.remove.n | p->response.set.n | p->response.add.n))
		conf_warn(load, 433, w, "this policy changes no header");
	return rc;
}

static bool
set_host(struct exchange *x, struct str value)
{
	struct str host, port;

	if (!uri_authority(value, &host, &port) || !host.len)
		return false;
	x->request.host = value;
	return true;
}

/* False: a value may not be sent; the line is not there then. */
static bool
apply(struct exchange *x, const struct side *s, struct headers *h, bool request)
{
	bool ok = true;

	for (size_t i = 0; i < s->remove.n; i++)
		headers_remove(h, s->remove.at[i]);
	for (size_t i = 0; i < s->set.n; i++) {
		struct str name = s->set.at[i].key;
		enum token token = s->set.at[i].token;
		struct str value = str_trim(template_eval(s->set.at[i].value, x));

		if (!line_is_value(value)) {
			headers_remove(h, name);
			ok = false;
		} else if (request && token == TOKEN_HOST) {
			ok &= set_host(x, value);
		} else {
			headers_set_as(h, &x->arena, token, name, value);
		}
	}
	for (size_t i = 0; i < s->add.n; i++) {
		struct str value = str_trim(template_eval(s->add.at[i].value, x));

		if (line_is_value(value))
			headers_add(h, &x->arena, s->add.at[i].key, value);
		else
			ok = false;
	}
	return ok;
}

static enum verdict
request(struct exchange *x, const void *self, void *state)
{
	const struct headers_policy *p = self;

	(void)state;
	if (apply(x, &p->request, &x->request.headers, true))
		return PASS;
	exchange_answer(x, FAULT_BAD_REQUEST);
	return ANSWER;
}

static void
response(struct exchange *x, const void *self, void *state)
{
	const struct headers_policy *p = self;

	(void)state;
	apply(x, &p->response, &x->response.headers, false);
}

const struct policy headers_policy = {
	.conf = {
		.name = "headers",
		.help = "Sets, adds and removes header lines",
		.size = sizeof(struct headers_policy),
		.fields = fields,
		.check = check,
	},
	.request = request,
	.response = response,
};
