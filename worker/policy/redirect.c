/* redirect — sends the client elsewhere.
 *
 * `to` is a template. What a request puts into it is percent-encoded, and can not turn a
 * path into another host. */
#include "worker/exchange/template.h"
#include "worker/policy/lib/line.h"
#include "worker/policy/policies.h"

struct redirect {
	const struct template *to;
	int64_t status;
};

static const struct conf_field fields[] = {
	CONF_ROW(struct redirect, to, VIA, .flags = CONF_F_REQUIRED,
		 .parse = template_parse,
		 .help = "where to, a template such as \"https://{host}{path}\""),
	CONF_INT(struct redirect, status, "302", 301, 308, "301, 302, 303, 307 or 308"),
	CONF_END
};

static int
check(struct conf_load *load, void *self, struct where w)
{
	const struct redirect *p = self;

	if (!p->to)
		return -1;
	if (p->status > 303 && p->status < 307) {
		conf_error(load, 435, w,
			   "%d is no redirect; use 301, 302, 303, 307 or 308",
			   (int)p->status);
		return -1;
	}
	for (size_t i = 0; i < p->to->text.len; i++) {
		unsigned char c = (unsigned char)p->to->text.at[i];

		if (c > ' ' && c < 0x7f)
			continue;
		conf_error(load, 406, where_in(p->to->where, i, 1),
			   "a URI holds no blanks and nothing beyond ASCII: "
			   "percent-encode it");
		return -1;
	}
	return 0;
}

static enum verdict
request(struct exchange *x, const void *self, void *state)
{
	const struct redirect *p = self;
	struct str to = template_eval_location(p->to, x);

	(void)state;
	if (!to.len || !line_is_value(to)) {
		exchange_answer(x, FAULT_BAD_REQUEST);
		return ANSWER;
	}
	exchange_respond(x, (int)p->status, STR_NONE, STR_NONE);
	headers_set_token(&x->response.headers, &x->arena, TOKEN_LOCATION, to);
	return ANSWER;
}

const struct policy redirect_policy = {
	.conf = {
		.name = "redirect",
		.help = "Sends the client elsewhere",
		.size = sizeof(struct redirect),
		.fields = fields,
		.check = check,
	},
	.request = request,
};
