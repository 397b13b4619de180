/* handshake — our two sides, with certificates made here: what a test changes before they
 * meet, and how they do. */
#ifndef TESTS_UNIT_NET_HANDSHAKE_H
#define TESTS_UNIT_NET_HANDSHAKE_H

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/crypto.h"
#include "tests/unit/net/certificates.h"
#include "tests/unit/unit.h"
#include "worker/net/tls.h"

static struct paper root, site, client;
static struct tls_pair pairs[8];
static struct tls_server_rules serve;
static struct tls_client_rules ask;
static struct tls_server *server;
static struct tls_client *asker;
static struct tls *there, *here; /* the server's session, the client's */
static struct tls_info seen;     /* by the client, after meet() */
static struct arena arena;
static int fds[2];
static char error[256];

/* ---- tickets of a test */

static struct tls_ticket_key keys[2];
static int found = 1;

static inline void
seal(void *arg, struct tls_ticket_key *k)
{
	(void)arg;
	*k = keys[0];
}

static inline int
find(void *arg, const uint8_t name[16], struct tls_ticket_key *k)
{
	(void)arg;
	for (int i = 0; i < 2; i++) {
		if (memcmp(keys[i].name, name, 16))
			continue;
		*k = keys[i];
		return found;
	}
	return 0;
}

static const struct tls_tickets tickets = { .seal = seal, .find = find };

/* ---- the two sides */

static inline void
setup(void)
{
	arena_init(&arena, NULL, 0, 1 << 20);
	crypto_random(keys, sizeof(keys));
	root = paper_make((struct paper_wish){ .name = "Root", .ca = true });
	site = paper_make((struct paper_wish){ .issuer = &root,
					       .name = "site",
					       .san = "DNS:site.example,IP:127.0.0.1" });
	pairs[0] = paper_pair(&site);
	serve = (struct tls_server_rules){
		.pairs = pairs, .npairs = 1, .h1 = true, .depth = 2, .tickets = true
	};
	ask = (struct tls_client_rules){ .verify = true,
					 .h1 = true,
					 .ca = paper_file(root.pem, "root.pem") };
}

static inline void
open_both(void)
{
	if (!server)
		server = tls_server_new(&serve, &tickets, error);
	ck_assert_msg(server != NULL, "%s", error);
	if (!asker)
		asker = tls_client_new(&ask, error);
	ck_assert_msg(asker != NULL, "%s", error);
}

static inline void
close_both(void)
{
	tls_server_free(server);
	tls_client_free(asker);
	server = NULL;
	asker = NULL;
}

static inline void
part(void)
{
	tls_free(there);
	tls_free(here);
	close(fds[0]);
	close(fds[1]);
}

/* Until both are done, or one has failed and the other one knows. */
static inline bool
meet(const char *host)
{
	enum tls_state a = TLS_WANT, b = TLS_WANT;

	open_both();
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	there = tls_accept(server, fds[0]);
	here = tls_connect(asker, fds[1], str_of(host), STR("target"));
	for (int i = 0; i < 20 && (a == TLS_WANT || b == TLS_WANT); i++) {
		if (b == TLS_WANT)
			b = tls_handshake(here);
		if (a == TLS_WANT)
			a = tls_handshake(there);
	}
	if (a == TLS_DONE && b == TLS_DONE)
		tls_info(here, &arena, &seen);
	return a == TLS_DONE && b == TLS_DONE;
}

static inline bool
meet_once(const char *host)
{
	bool met = meet(host);

	if (met)
		part();
	return met;
}

static inline void
say(struct tls *t, int fd, const char *text)
{
	char out[1024];
	ssize_t n = tls_seal(t, str_of(text), out, sizeof(out));

	ck_assert_int_gt(n, 0);
	ck_assert_int_eq(send(fd, out, (size_t)n, 0), n);
}

static inline void
hear(struct tls *t, const char *text)
{
	char in[1024];
	ssize_t n = tls_recv(t, in, sizeof(in));

	ck_assert_int_ge(n, 0);
	unit_str_eq((struct str){ in, (size_t)n }, text);
}

#endif
