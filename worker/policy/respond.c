/* respond — answers by itself: a status, and a body if it has one. */
#include "worker/policy/lib/line.h"
#include "worker/policy/policies.h"

struct respond {
	int64_t status;
	struct str content_type, body;
};

static const struct conf_field fields[] = {
	CONF_INT(struct respond, status, "200", 200, 599, "the status"),
	CONF_STR(struct respond, content_type, "text/plain; charset=utf-8",
		 "media type of the body"),
	CONF_STR(struct respond, body, NULL, "the body, as it is"), CONF_END
};

static int
check(struct conf_load *load, void *self, struct where w)
{
	const struct respond *p = self;

	if (line_check_value(load, p->content_type, w) < 0)
		return -1;
	if (p->body.len && (p->status == 204 || p->status == 304)) {
		conf_error(load, 435, w, "an answer with status %d has no body",
			   (int)p->status);
		return -1;
	}
	return 0;
}

static enum verdict
request(struct exchange *x, const void *self, void *state)
{
	const struct respond *p = self;

	(void)state;
	exchange_respond(x, (int)p->status, p->body.len ? p->content_type : STR_NONE,
			 p->body);
	return ANSWER;
}

const struct policy respond_policy = {
	.conf = {
		.name = "respond",
		.help = "Answers by itself: a status, and a body if it has one",
		.size = sizeof(struct respond),
		.fields = fields,
		.check = check,
	},
	.request = request,
};
