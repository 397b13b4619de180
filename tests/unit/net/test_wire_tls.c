/* TLS on a wire: two of them in one loop, at the ends of a socketpair. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/net/certificates.h"
#include "worker/net/wire.h"

enum { LARGE = 3 * 1024 * 1024 };

struct end {
	struct wire wire; /* first */
	char *got;
	size_t n, max; /* bytes had; most to be read at once, 0: all there is */
	bool ended, closed, stopped, readable, hangup;
	int error, drained, readings;
};

static struct loop loop;
static struct end left, right; /* the server, the client */
static struct tls_server *server;
static struct tls_client *client;
static char text[LARGE];
static char error[256];

static void
on_event(struct wire *w, uint32_t events)
{
	struct end *e = (struct end *)w;

	if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		e->readable = true;
	if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		e->hangup = true;
	while (e->readable && !e->stopped) {
		size_t max = e->max ? e->max : LOOP_RBUF;
		ssize_t n = wire_recv(w, max);

		e->readings++;
		if (n == 0)
			e->ended = true;
		else if (n < 0 && errno != EAGAIN)
			e->error = errno;
		if (n <= 0) {
			e->readable = false;
			break;
		}
		memcpy(e->got + e->n, w->loop->rbuf, (size_t)n);
		e->n += (size_t)n;
		/* What every codec counts on: a short reading has found nothing more. */
		if ((size_t)n < max && !e->hangup)
			e->readable = false;
	}
}

static void
on_drained(struct wire *w)
{
	((struct end *)w)->drained++;
}

static void
on_error(struct wire *w, int why)
{
	((struct end *)w)->error = why;
}

static void
on_destroy(struct wire *w)
{
	((struct end *)w)->closed = true;
}

static const struct wire_ops ops = {
	.on_event = on_event,
	.on_drained = on_drained,
	.on_error = on_error,
	.destroy = on_destroy,
};

static void
open_end(struct end *e, int fd, struct tls *t)
{
	memset(e, 0, sizeof(*e));
	e->got = malloc(2 * LARGE);
	ck_assert_int_eq(wire_open(&e->wire, &loop, fd, &ops), 0);
	if (t)
		wire_tls(&e->wire, t);
}

/* With `early` in the client's last flight. */
static void
begin_with(const char *early)
{
	struct paper root = paper_make((struct paper_wish){ .name = "Root", .ca = true });
	struct paper site = paper_make((struct paper_wish){
		.issuer = &root, .name = "site", .san = "DNS:site.example" });
	struct tls_pair pair = paper_pair(&site);
	struct tls_server_rules serve = { .pairs = &pair, .npairs = 1 };
	struct tls_client_rules ask = { .verify = true,
					.ca = paper_file(root.pem, "root.pem") };
	enum tls_state a = TLS_WANT, b = TLS_WANT;
	struct tls *here, *there;
	int fd[2], small = 4096;

	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (char)(i % 251);
	ck_assert_int_eq(loop_init(&loop), 0);
	server = tls_server_new(&serve, NULL, error);
	client = tls_client_new(&ask, error);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd), 0);
	setsockopt(fd[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	setsockopt(fd[1], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	there = tls_accept(server, fd[0]);
	here = tls_connect(client, fd[1], STR("site.example"), STR("target"));
	for (int i = 0; i < 20 && (a == TLS_WANT || b == TLS_WANT); i++) {
		if (b == TLS_WANT)
			b = tls_handshake(here);
		if (b == TLS_DONE && early) {
			char out[1024];
			ssize_t n = tls_seal(here, str_of(early), out, sizeof(out));

			ck_assert_int_eq(send(fd[1], out, (size_t)n, 0), n);
			early = NULL;
		}
		if (a == TLS_WANT)
			a = tls_handshake(there);
	}
	ck_assert(a == TLS_DONE && b == TLS_DONE);
	open_end(&left, fd[0], there);
	open_end(&right, fd[1], here);
}

static void
begin(void)
{
	begin_with(NULL);
}

static void
turns(int n)
{
	while (n--)
		loop_turn(&loop, 0);
}

static void
finish(void)
{
	wire_close(&left.wire);
	wire_close(&right.wire);
	turns(2);
	ck_assert(left.closed && right.closed);
	tls_server_free(server);
	tls_client_free(client);
	loop_free(&loop);
	free(left.got);
	free(right.got);
}

static void
had(const struct end *e, const char *wanted)
{
	unit_str_eq((struct str){ e->got, e->n }, wanted);
}

START_TEST(small_pieces_are_one_record)
{
	uint64_t before;

	begin();
	turns(1);
	before = left.wire.sent;
	wire_send(&left.wire, STR("one "));
	wire_send_tail(&left.wire, STR("two "), STR("three"));
	wire_flush(&loop);
	/* 13 bytes, a head of 5, a type, a tag of 16. */
	ck_assert_uint_eq(left.wire.sent - before, 13 + 22);
	turns(2);
	had(&right, "one two three");
	finish();
}
END_TEST

START_TEST(large_ones_arrive_whole)
{
	int readings;

	begin();
	wire_send(&left.wire, STR("head "));
	for (size_t i = 0; i < LARGE; i += 300 * 1024) {
		struct str part = { text + i,
				    LARGE - i < 300 * 1024 ? LARGE - i : 300 * 1024 };

		wire_send_tail(&left.wire, part, STR_NONE);
	}
	wire_send(&left.wire, STR(" tail"));
	wire_flush(&loop);
	ck_assert_uint_gt(wire_unsent(&left.wire), LARGE / 2);
	turns(4000);
	ck_assert_uint_eq(wire_unsent(&left.wire), 0);
	ck_assert_int_eq(left.drained, 1);
	ck_assert_uint_eq(right.n, LARGE + 10);
	ck_assert_int_eq(memcmp(right.got + 5, text, LARGE), 0);
	ck_assert_int_eq(memcmp(right.got + 5 + LARGE, " tail", 5), 0);
	/* Nothing to do: nothing is read. */
	readings = right.readings;
	turns(5);
	ck_assert_int_eq(right.readings, readings);
	finish();
}
END_TEST

START_TEST(small_readings_lose_nothing)
{
	begin();
	right.max = 100;
	wire_send(&left.wire, (struct str){ text, 40000 });
	wire_send(&right.wire, (struct str){ text, 70001 });
	turns(100);
	ck_assert_uint_eq(right.n, 40000);
	ck_assert_int_eq(memcmp(right.got, text, 40000), 0);
	ck_assert_uint_eq(left.n, 70001);
	/* Who stops for a while finds it all. */
	right.n = 0;
	right.stopped = true;
	wire_send(&left.wire, (struct str){ text, 3000 });
	turns(3);
	ck_assert_uint_eq(right.n, 0);
	right.stopped = false;
	loop_ready(&loop, &right.wire.event);
	turns(3);
	ck_assert_uint_eq(right.n, 3000);
	finish();
}
END_TEST

/* Pieces of any size, both ways, to readers of any appetite. */
START_TEST(nothing_is_lost_or_turned_round)
{
	static const size_t appetite[] = { 0, 30, 500, 5000, 16384, 20000 };
	struct end *ends[2] = { &left, &right };
	size_t given[2] = { 0, 0 };

	begin();
	srand(1);
	for (int i = 0; i < 4000; i++) {
		int k = rand() % 2;
		struct end *e = ends[k];
		size_t n = (size_t)rand() % (rand() % 20 ? 300 : 100000);

		if (given[k] + n <= LARGE && !e->wire.held.len) {
			wire_send_tail(&e->wire, (struct str){ text + given[k], n },
				       STR_NONE);
			given[k] += n;
		}
		e->max = appetite[rand() % 6];
		e->stopped = rand() % 4 == 0;
		if (!e->stopped && e->readable)
			loop_ready(&loop, &e->wire.event);
		if (rand() % 3 == 0)
			turns(1);
	}
	for (int k = 0; k < 2; k++) {
		ends[k]->max = 0;
		ends[k]->stopped = false;
		loop_ready(&loop, &ends[k]->wire.event);
	}
	turns(2000);
	for (int k = 0; k < 2; k++) {
		ck_assert_uint_gt(given[k], 100000);
		ck_assert_uint_eq(ends[1 - k]->n, given[k]);
		ck_assert_int_eq(memcmp(ends[1 - k]->got, text, given[k]), 0);
	}
	finish();
}
END_TEST

START_TEST(what_came_with_the_handshake_is_an_event)
{
	begin_with("GET / HTTP/1.1\r\n\r\n");
	turns(2);
	had(&left, "GET / HTTP/1.1\r\n\r\n");
	finish();
}
END_TEST

START_TEST(the_end_is_said_both_ways)
{
	begin();
	wire_send(&left.wire, STR("last"));
	wire_shut(&left.wire);
	turns(3);
	had(&right, "last");
	ck_assert(right.ended && !right.error);
	/* Half closed: the other way still goes. */
	wire_send(&right.wire, STR("answer"));
	turns(3);
	had(&left, "answer");
	ck_assert(!left.ended);
	wire_send(&right.wire, STR("!"));
	wire_close(&right.wire);
	turns(3);
	had(&left, "answer!");
	ck_assert(left.ended && !left.error);
	finish();
}
END_TEST

START_TEST(the_end_without_a_hangup_is_noticed)
{
	char out[64];
	size_t n;

	begin();
	wire_send(&right.wire, STR("x"));
	wire_flush(&loop);
	/* In the same segment, and the socket stays open. */
	n = tls_bye(right.wire.tls, out, sizeof(out));
	ck_assert_int_eq(send(right.wire.event.fd, out, n, 0), (ssize_t)n);
	turns(3);
	had(&left, "x");
	ck_assert(left.ended);
	finish();
}
END_TEST

START_TEST(the_end_waits_for_what_is_held)
{
	begin();
	right.stopped = true;
	wire_send(&left.wire, (struct str){ text, 1024 * 1024 });
	wire_shut(&left.wire);
	turns(3);
	ck_assert(left.wire.held.len && !left.wire.shut);
	right.stopped = false;
	loop_ready(&loop, &right.wire.event);
	turns(2000);
	ck_assert_uint_eq(right.n, 1024 * 1024);
	ck_assert(right.ended && left.wire.shut);
	finish();
}
END_TEST

START_TEST(who_is_cut_off_is_not_told_of_an_end)
{
	begin();
	right.stopped = true;
	wire_send(&left.wire, (struct str){ text, 1024 * 1024 });
	turns(3);
	wire_close(&left.wire);
	right.stopped = false;
	turns(100);
	ck_assert_uint_lt(right.n, 1024 * 1024);
	ck_assert(!right.ended);
	ck_assert_int_ne(right.error, 0);
	finish();
}
END_TEST

START_TEST(rubbish_is_an_error)
{
	begin();
	ck_assert_int_eq(send(right.wire.event.fd, "rubbish, no record", 18, 0), 18);
	turns(3);
	ck_assert_int_eq(left.error, EPROTO);
	ck_assert_int_ne(tls_fault(left.wire.tls), TLS_OK);
	/* The other side was sent an alert. */
	ck_assert_int_eq(right.error, EPROTO);
	finish();
}
END_TEST

START_TEST(silence_is_told_from_the_end)
{
	begin();
	turns(1);
	ck_assert(wire_silent(&left.wire));
	right.stopped = true;
	wire_close(&right.wire);
	ck_assert(!wire_silent(&left.wire));
	finish();
}
END_TEST

/* ---- against a client of OpenSSL */

static SSL_CTX *context;
static SSL *ssl;
static int its_fd;

static void
begin_openssl(int version)
{
	struct tls *there;
	int fd[2], r = 0;

	begin();
	wire_close(&left.wire);
	turns(2);
	free(left.got);
	context = SSL_CTX_new(TLS_client_method());
	SSL_CTX_set_max_proto_version(context, version);
	ssl = SSL_new(context);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd), 0);
	its_fd = fd[1];
	SSL_set_fd(ssl, its_fd);
	there = tls_accept(server, fd[0]);
	for (int i = 0; i < 20 && r != 1; i++) {
		r = SSL_connect(ssl);
		tls_handshake(there);
	}
	ck_assert_int_eq(r, 1);
	open_end(&left, fd[0], there);
}

static void
finish_openssl(void)
{
	SSL_free(ssl);
	close(its_fd);
	SSL_CTX_free(context);
	finish();
}

/* The client says something, and is answered. */
static void
talk(void)
{
	size_t before = left.n;
	char in[64];

	ck_assert_int_eq(SSL_write(ssl, "ping", 4), 4);
	turns(2);
	ck_assert_uint_eq(left.n - before, 4);
	wire_send(&left.wire, STR("pong"));
	turns(1);
	ck_assert_int_eq(SSL_read(ssl, in, sizeof(in)), 4);
	ck_assert_int_eq(memcmp(in, "pong", 4), 0);
}

START_TEST(new_keys_are_answered)
{
	begin_openssl(TLS1_3_VERSION);
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(SSL_key_update(ssl, SSL_KEY_UPDATE_REQUESTED), 1);
		talk();
	}
	finish_openssl();
}
END_TEST

/* Asks for new keys without end, and takes none of the answers. */
START_TEST(answers_do_not_pile_up)
{
	begin_openssl(TLS1_3_VERSION);
	left.stopped = true;
	wire_send(&left.wire, (struct str){ text, 1024 * 1024 });
	turns(2);
	ck_assert_uint_gt(left.wire.held.len, 0);
	left.stopped = false;
	for (int i = 0; i < 2000 && !left.error; i++) {
		SSL_key_update(ssl, SSL_KEY_UPDATE_REQUESTED);
		SSL_do_handshake(ssl);
		turns(1);
	}
	ck_assert_int_eq(left.error, EPROTO);
	finish_openssl();
}
END_TEST

/* TLS 1.2 wants to begin anew, and is told no. */
START_TEST(nothing_begins_anew)
{
	int r;

	begin_openssl(TLS1_2_VERSION);
	talk();
	ck_assert_int_eq(SSL_renegotiate(ssl), 1);
	SSL_do_handshake(ssl);
	turns(2);
	ck_assert_int_eq(left.error, 0);
	r = SSL_do_handshake(ssl);
	ck_assert_int_eq(SSL_get_error(ssl, r), SSL_ERROR_SSL);
	ck_assert_int_eq(ERR_GET_REASON(ERR_peek_error()), SSL_R_NO_RENEGOTIATION);
	turns(2);
	finish_openssl();
}
END_TEST

START_TEST(nothing_is_sent_in_the_clear)
{
	static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };
	char raw[4096];

	for (int i = 0; i < 2; i++) {
		ssize_t n;

		begin_openssl(versions[i]);
		ck_assert_int_eq(SSL_version(ssl), versions[i]);
		talk();
		wire_send(&left.wire, STR("attack at dawn, attack at dawn"));
		wire_flush(&loop);
		n = recv(its_fd, raw, sizeof(raw), MSG_PEEK);
		ck_assert_int_gt(n, 30);
		ck_assert_ptr_null(memmem(raw, (size_t)n, "attack", 6));
		ck_assert_int_eq(SSL_read(ssl, raw, sizeof(raw)), 30);
		finish_openssl();
	}
}
END_TEST

int
main(void)
{
	const TTest *const tests[] = {
		small_pieces_are_one_record,
		large_ones_arrive_whole,
		small_readings_lose_nothing,
		nothing_is_lost_or_turned_round,
		what_came_with_the_handshake_is_an_event,
		the_end_is_said_both_ways,
		the_end_without_a_hangup_is_noticed,
		the_end_waits_for_what_is_held,
		who_is_cut_off_is_not_told_of_an_end,
		rubbish_is_an_error,
		silence_is_told_from_the_end,
		new_keys_are_answered,
		answers_do_not_pile_up,
		nothing_begins_anew,
		nothing_is_sent_in_the_clear,
	};

	return unit_run("wire with TLS", tests, sizeof(tests) / sizeof(*tests));
}
