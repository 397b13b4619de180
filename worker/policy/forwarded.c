/* forwarded — which lines tell the upstream where a request came from.
 *
 * Without this policy X-Forwarded-For, -Proto and -Host are written. Lines of a peer that
 * is not in the listener's `trust` never get through, whatever the mode. */
#include "worker/exchange/forwarded.h"
#include "worker/policy/policies.h"

enum mode { MODE_X, MODE_RFC7239, MODE_BOTH, MODE_OFF };
static const char *const mode_words[] = { "x", "rfc7239", "both", "off", NULL };

static const unsigned written[] = {
	[MODE_X] = FORWARDED_X,
	[MODE_RFC7239] = FORWARDED_RFC7239,
	[MODE_BOTH] = FORWARDED_X | FORWARDED_RFC7239,
	[MODE_OFF] = 0,
};

struct forwarded {
	int mode;
	bool real_ip;
};

static const struct conf_field fields[] = {
	CONF_ENUM(
		struct forwarded, mode, "x", mode_words,
		"X-Forwarded-For, -Proto and -Host, Forwarded (RFC 7239), both, or none"),
	CONF_BOOL(struct forwarded, real_ip, "false", "whether X-Real-IP is written too"),
	CONF_END
};

static enum verdict
request(struct exchange *x, const void *self, void *state)
{
	const struct forwarded *p = self;

	(void)state;
	forwarded_write(x, written[p->mode] | (p->real_ip ? FORWARDED_REAL_IP : 0));
	return PASS;
}

const struct policy forwarded_policy = {
	.conf = {
		.name = "forwarded",
		.help = "Chooses the lines that tell where a request came from",
		.size = sizeof(struct forwarded),
		.fields = fields,
	},
	.forwards = true,
	.request = request,
};
