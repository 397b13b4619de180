#include "worker/exchange/clientcert.h"

#include "tests/unit/exchange/fake.h"
#include "worker/exchange/forwarded.h"
#include "worker/http/conn.h"

static struct prefix ours[1];
static const struct trust trust = { ours, 1 }, nobody = { NULL, 0 };
static struct str from[2];
static struct where from_where[2];
static struct conf_tls rules;
static struct conf_listener listener;
static struct hello_facts facts;
static struct conn conn;
static struct stream stream;

static const struct tls_info shown = {
	.version = { "TLSv1.3", 7 },
	.cipher = { "TLS_AES_128_GCM_SHA256", 22 },
	.verified = true,
	.subject = { "CN=acme\\, \\\"the\\\" one,O=x", 25 },
	.san = { "URI:spiffe://x/a=b, DNS:a.example, IP Address:::1, DNS:b.example", 64 },
	.fingerprint = { "ab12", 4 },
};

/* The client shows a certificate in its handshake, or none. */
static void
begin(const struct tls_info *tls, int forward)
{
	fake_begin();
	ck_assert(prefix_parse(&ours[0], STR("10.0.0.0/8")));
	listener = (struct conf_listener){ .name = { "edge", 4 },
					   .tls = tls ? &rules : NULL };
	rules.forward = forward;
	facts = (struct hello_facts){ .proxied = false };
	if (tls) {
		facts.tls = *tls;
		facts.peer_der = STR("\1\2\3");
	}
	conn.facts = &facts;
	stream.conn = &conn;
	x->client = &stream;
	x->listener = &listener;
}

static void
believes(const char *first, const char *second)
{
	from[0] = str_of(first);
	from[1] = str_of(second);
	listener.client_cert_from =
		(struct conf_strs){ from, from_where, second ? 2 : 1 };
}

static void
found(bool trusted, const char *subject)
{
	forwarded_client(x, trusted ? &trust : &nobody);
	unit_str_eq(exchange_tls(x)->subject, subject);
	ck_assert_int_eq(exchange_tls(x)->verified, *subject != 0);
}

static void
sent(const char *wanted)
{
	clientcert_tell(x);
	ck_assert_str_eq(fake_lines(&x->request.headers), wanted);
}

START_TEST(what_the_handshake_showed_is_told)
{
	const char *xfcc = "X-Forwarded-Client-Cert: Hash=ab12;"
			   "Subject=\"CN=acme\\, \\\"the\\\" one,O=x\";"
			   "URI=\"spiffe://x/a=b\";DNS=a.example;DNS=b.example\n";
	char both[512];

	begin(&shown, CONF_FORWARD_NONE);
	found(false, "CN=acme\\, \\\"the\\\" one,O=x");
	sent("");
	fake_end();

	begin(&shown, CONF_FORWARD_XFCC);
	found(false, "CN=acme\\, \\\"the\\\" one,O=x");
	sent(xfcc);
	fake_end();

	begin(&shown, CONF_FORWARD_RFC9440);
	found(false, "CN=acme\\, \\\"the\\\" one,O=x");
	sent("Client-Cert: :AQID:\n");
	fake_end();

	begin(&shown, CONF_FORWARD_BOTH);
	found(false, "CN=acme\\, \\\"the\\\" one,O=x");
	snprintf(both, sizeof(both), "%sClient-Cert: :AQID:\n", xfcc);
	sent(both);
	fake_end();
}
END_TEST

START_TEST(a_certificate_is_no_way_to_add_lines)
{
	struct tls_info evil = shown;

	evil.san = STR("URI:x\r\nX-Admin: 1, DNS:a\";URI=\"b\\");
	begin(&evil, CONF_FORWARD_XFCC);
	forwarded_client(x, &nobody);
	sent("X-Forwarded-Client-Cert: Hash=ab12;"
	     "Subject=\"CN=acme\\, \\\"the\\\" one,O=x\";DNS=\"a\\\";URI=\\\"b\\\\\"\n");
	fake_end();
}
END_TEST

START_TEST(strangers_are_not_heard)
{
	static const struct tls_info plain = { .version = { "TLSv1.3", 7 } };

	for (int i = 0; i < 2; i++) {
		begin(i ? &plain : NULL, CONF_FORWARD_BOTH);
		believes("x-ssl-client-s-dn", NULL);
		fake_header("Accept", "*/*");
		fake_header("X-Forwarded-Client-Cert", "Hash=1;Subject=\"CN=root\"");
		fake_header("x_forwarded_client_cert", "Hash=1;Subject=\"CN=root\"");
		fake_header("CLIENT-CERT", ":AQID:");
		fake_header("Client_Cert", ":AQID:");
		fake_header("client-cert-Chain", ":AQID:");
		fake_header("X-SSL-Client-S-DN", "CN=root");
		fake_header("X-SSL-Client_S_DN", "CN=root");
		fake_header("Client-Certainty", "high");
		found(false, "");
		sent("Accept: */*\nClient-Certainty: high\n");
		fake_end();
	}
}
END_TEST

START_TEST(names_that_only_look_alike_are_nobody_s)
{
	begin(NULL, CONF_FORWARD_NONE);
	believes("x-ssl-client-s-dn", NULL);
	fake_header("X-SSL-Client-S_DN", "CN=root");
	fake_header("x-forwarded_client-cert", "Subject=\"CN=root\"");
	found(true, "");
	sent("");
	fake_end();
}
END_TEST

START_TEST(the_word_of_a_trusted_peer_counts)
{
	static const struct tls_info firewall = {
		.version = { "TLSv1.2", 7 },
		.subject = { "CN=firewall", 11 },
		.verified = true,
	};

	begin(&firewall, CONF_FORWARD_BOTH);
	believes("x-ssl-client-s-dn", NULL);
	fake_header("X-SSL-Client-S-DN", "CN=acme");
	found(true, "CN=acme");
	unit_str_eq(exchange_tls(x)->version, "TLSv1.2");
	sent("X-SSL-Client-S-DN: CN=acme\n");
	fake_end();

	/* It says nothing, or two things: then it is nobody, and not the firewall. */
	begin(&firewall, CONF_FORWARD_BOTH);
	believes("x-ssl-client-s-dn", "client-cert");
	found(true, "");
	sent("");
	fake_header("X-SSL-Client-S-DN", "CN=acme");
	fake_header("x-ssl-client-s-dn", "CN=root");
	found(true, "");
	fake_end();

	begin(&firewall, CONF_FORWARD_NONE);
	believes("x-ssl-client-s-dn", "x-forwarded-client-cert");
	fake_header("X-SSL-Client-S-DN", "");
	fake_header("X-Forwarded-Client-Cert", "Subject=\"CN=acme\"");
	found(true, "CN=acme");
	fake_end();
}
END_TEST

START_TEST(a_proxy_before_us_is_continued)
{
	begin(&shown, CONF_FORWARD_BOTH);
	fake_header("X-Forwarded-Client-Cert", "Hash=1");
	fake_header("Client-Cert", ":BBBB:");
	fake_header("Client-Cert-Chain", ":BBBB:");
	found(true, "CN=acme\\, \\\"the\\\" one,O=x");
	sent("X-Forwarded-Client-Cert: Hash=1, Hash=ab12;"
	     "Subject=\"CN=acme\\, \\\"the\\\" one,O=x\";"
	     "URI=\"spiffe://x/a=b\";DNS=a.example;DNS=b.example\n"
	     "Client-Cert: :AQID:\n");
	fake_end();
}
END_TEST

START_TEST(of_several_elements_the_last_is_the_peer_s)
{
	static const struct {
		const char *value, *subject;
	} all[] = {
		{ "Hash=1;Subject=\"CN=root\", Hash=2;Subject=\"CN=acme,O=x\"", "CN=acme,O=x" },
		{ "By=x;Subject=\"CN=root, Hash=2;Subject=\"CN=acme\"", "CN=acme" },
		{ "Subject=\", Hash=2;Subject=\"CN=a\\\"b\\\\\"", "CN=a\"b\\\\" },
		{ "Hash=2 ; subject = CN=acme ; By=", "CN=acme" },
		{ "Subject=\"CN=root\",", "" },
		{ "nothing", "" },
		{ "", "" },
		{ "\"", "" },
		{ "=;=,\\", "" },
	};

	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
		begin(NULL, CONF_FORWARD_NONE);
		believes("X-Forwarded-Client-Cert", NULL);
		fake_header("X-Forwarded-Client-Cert", all[i].value);
		found(true, all[i].subject);
		fake_end();
	}

	begin(NULL, CONF_FORWARD_NONE);
	believes("X-Forwarded-Client-Cert", NULL);
	fake_header("X-Forwarded-Client-Cert", "Subject=\"CN=root\"");
	fake_header("X-Forwarded-Client-Cert", "Hash=12;URI=spiffe://a;DNS=b;DNS=c");
	forwarded_client(x, &trust);
	unit_str_eq(exchange_tls(x)->subject, "");
	unit_str_eq(exchange_tls(x)->fingerprint, "12");
	unit_str_eq(exchange_tls(x)->san, "URI:spiffe://a, DNS:b, DNS:c");
	unit_str_eq(exchange_tls(x)->dns, "b");
	fake_end();
}
END_TEST

START_TEST(the_proxy_protocol_says_it_too)
{
	begin(NULL, CONF_FORWARD_NONE);
	facts.proxied = true;
	facts.proxy = (struct proxyproto){ .tls = true, .verified = true,
					   .cn = { "acme", 4 } };
	found(false, "CN=acme");
	unit_str_eq(x->scheme, "https");
	fake_end();

	begin(NULL, CONF_FORWARD_NONE);
	facts.proxied = true;
	facts.proxy = (struct proxyproto){ .tls = true, .verified = true,
					   .cn = STR(" a,O=\"b\" ") };
	found(false, "CN=\\ a\\,O\\=\\\"b\\\"\\ ");
	fake_end();

	/* No certificate, or none that was good. */
	begin(NULL, CONF_FORWARD_NONE);
	facts.proxied = true;
	facts.proxy = (struct proxyproto){ .tls = true, .cn = { "acme", 4 } };
	found(false, "");
	unit_str_eq(x->scheme, "https");
	fake_end();
}
END_TEST

START_TEST(what_the_logs_want_outlives_the_connection)
{
	begin(&shown, CONF_FORWARD_NONE);
	forwarded_client(x, &nobody);
	clientcert_keep(x);
	facts.tls.subject = STR("CN=other");
	unit_str_eq(exchange_tls(x)->subject, "CN=acme\\, \\\"the\\\" one,O=x");
	fake_end();
}
END_TEST

int
main(void)
{
	const TTest *tests[] = { what_the_handshake_showed_is_told,
				 a_certificate_is_no_way_to_add_lines,
				 strangers_are_not_heard,
				 names_that_only_look_alike_are_nobody_s,
				 the_word_of_a_trusted_peer_counts,
				 a_proxy_before_us_is_continued,
				 of_several_elements_the_last_is_the_peer_s,
				 the_proxy_protocol_says_it_too,
				 what_the_logs_want_outlives_the_connection };

	return unit_run("exchange/clientcert", tests, sizeof(tests) / sizeof(*tests));
}
