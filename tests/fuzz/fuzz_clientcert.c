/* clientcert — what a client, or a proxy before it, says of certificates: a line of input
 * is a header line. A stranger is never taken for anybody; our own word is the last. */
#include <stdint.h>
#include <stdlib.h>

#include "worker/exchange/clientcert.h"
#include "worker/exchange/forwarded.h"
#include "worker/http/conn.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct prefix everybody[1];
static const struct trust trust = { everybody, 1 }, nobody = { NULL, 0 };
static struct str from[3];
static struct where from_where[3];
static struct conf_tls rules = { .forward = CONF_FORWARD_BOTH };
static struct conf_listener listener = {
	.tls = &rules,
	.client_cert_from = { from, from_where, 3 },
};
static struct hello_facts facts = {
	.tls = { .version = { "TLSv1.3", 7 },
		 .subject = { "CN=ours", 7 },
		 .fingerprint = { "ab", 2 },
		 .verified = true },
	.peer_der = { "\1\2\3", 3 },
};

static void
look(struct str text, bool trusted)
{
	struct conn conn = { .facts = trusted ? NULL : &facts };
	struct stream stream = { .conn = &conn };
	struct exchange *x = calloc(1, sizeof(*x));
	struct str line, name;
	const struct tls_info *info;

	arena_init(&x->arena, x->home, sizeof(x->home), 1 << 24);
	x->listener = &listener;
	x->client = &stream;
	x->scheme = STR("http");
	addr_parse(&x->peer, STR("10.0.0.1"));
	while (x->request.headers.n < 20 && str_split(&text, '\n', &line))
		if (str_split(&line, ':', &name) && name.len)
			headers_add(&x->request.headers, &x->arena, name, line);
	forwarded_client(x, trusted ? &trust : &nobody);
	info = exchange_tls(x);
	if (!trusted && info != &facts.tls)
		abort();
	if (trusted && info->verified &&
	    !(info->subject.len | info->fingerprint.len | info->san.len))
		abort();
	clientcert_tell(x);
	if (!trusted && !headers_find(&x->request.headers, STR("client-cert")))
		abort();
	arena_reset(&x->arena);
	free(x);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = { (const char *)data, size };

	from[0] = STR("x-forwarded-client-cert");
	from[1] = STR("client-cert");
	from[2] = STR("x-ssl-client-s-dn");
	prefix_parse(&everybody[0], STR("0.0.0.0/0"));
	look(text, false);
	look(text, true);
	return 0;
}
