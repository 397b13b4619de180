#include "tests/unit/http/h2_sides.h"

#include "base/clock.h"

/* A peer that says what it likes: frames by hand, heads of literal lines. */

enum { DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE,
       CONTINUATION };
enum { END_STREAM = 1, ACK = 1, END_HEADERS = 4, PADDED = 8 };
enum { NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, FLOW_CONTROL_ERROR, SETTINGS_TIMEOUT,
       STREAM_CLOSED, FRAME_SIZE_ERROR, REFUSED_STREAM, CANCEL, COMPRESSION_ERROR,
       ENHANCE_YOUR_CALM = 11 };

static char sent[4 << 20];
static size_t nsent;

static void
put(const void *at, size_t n)
{
	ck_assert_uint_le(nsent + n, sizeof(sent));
	if (n)
		memcpy(sent + nsent, at, n);
	nsent += n;
}

static void
frame(int type, int flags, uint32_t id, const void *payload, size_t n)
{
	unsigned char head[9] = {
		(unsigned char)(n >> 16), (unsigned char)(n >> 8), (unsigned char)n,
		(unsigned char)type, (unsigned char)flags,
		(unsigned char)(id >> 24), (unsigned char)(id >> 16), (unsigned char)(id >> 8),
		(unsigned char)id,
	};

	put(head, 9);
	put(payload, n);
}

/* What came, frame by frame. */
static struct seen {
	int n[16], goaways, resets, ended;
	uint32_t goaway, reset, last, reset_id;
	size_t data;
	int acks;
	bool eof;
} seen;
static unsigned char in[1 << 22];
static size_t nin;

static void
look(void)
{
	size_t at = 0;

	for (;;) {
		ssize_t n = recv(peer, in + nin, sizeof(in) - nin, MSG_DONTWAIT);

		if (n == 0)
			seen.eof = true;
		if (n <= 0)
			break;
		nin += (size_t)n;
	}
	while (nin - at >= 9) {
		const unsigned char *p = in + at;
		size_t len = (size_t)p[0] << 16 | (size_t)p[1] << 8 | p[2];
		const unsigned char *b = p + 9;

		if (nin - at < 9 + len)
			break;
		ck_assert_int_lt(p[3], 16);
		seen.n[p[3]]++;
		seen.acks += (p[3] == SETTINGS || p[3] == PING) && p[4] & ACK;
		seen.ended += p[3] <= HEADERS && p[4] & END_STREAM;
		if (p[3] == DATA)
			seen.data += len;
		if (p[3] == RST_STREAM) {
			seen.resets++;
			seen.reset = b[3];
			seen.reset_id = (uint32_t)p[7] << 8 | p[8];
		}
		if (p[3] == GOAWAY) {
			seen.goaways++;
			seen.last = (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
			seen.goaway = b[7];
		}
		at += 9 + len;
	}
	memmove(in, in + at, nin - at);
	nin -= at;
}

static void
flush(void)
{
	size_t at = 0;

	for (int idle = 0; at < nsent && idle < 50;) {
		ssize_t n = send(peer, sent + at, nsent - at, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n > 0)
			at += (size_t)n;
		idle = n > 0 ? 0 : idle + 1;
		turns(1);
		look();
	}
	nsent = 0;
	turns(4);
	look();
}

static void
hello(void)
{
	memset(&seen, 0, sizeof(seen));
	nsent = nin = 0;
	begin_alone(&server, CONN_SERVER);
	put("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24);
	frame(SETTINGS, 0, 0, NULL, 0);
	frame(SETTINGS, ACK, 0, NULL, 0);
	flush();
	ck_assert_int_eq(seen.n[SETTINGS], 2);
}

/* ---- heads: literals without indexing, names in full */

struct head {
	unsigned char at[64 * 1024];
	size_t n;
};

static void
text(struct head *h, const char *s, size_t len)
{
	size_t n = len;

	if (n < 127) {
		h->at[h->n++] = (unsigned char)n;
	} else {
		h->at[h->n++] = 127;
		for (n -= 127; n >= 128; n >>= 7)
			h->at[h->n++] = (unsigned char)(n | 128);
		h->at[h->n++] = (unsigned char)n;
	}
	memcpy(h->at + h->n, s, len);
	h->n += len;
}

static void
add(struct head *h, const char *name, const char *value)
{
	h->at[h->n++] = 0;
	text(h, name, strlen(name));
	text(h, value, strlen(value));
}

static struct head
get(const char *path)
{
	static struct head h;

	h.n = 0;
	add(&h, ":method", "GET");
	add(&h, ":scheme", "http");
	add(&h, ":path", path);
	add(&h, ":authority", "a.example");
	return h;
}

static void
head(uint32_t id, int flags, const struct head *h)
{
	frame(HEADERS, flags | END_HEADERS, id, h->at, h->n);
}

/* Asks with these lines ("name", "value", …, NULL) and nothing else, and no body. */
static void
asked(uint32_t id, const char *const *lines)
{
	static struct head h;

	h.n = 0;
	for (; *lines; lines += 2)
		add(&h, lines[0], lines[1]);
	head(id, END_STREAM, &h);
	flush();
}

#define ASKED(id, ...) asked(id, (const char *const[]){ __VA_ARGS__, NULL })
#define GET_PSEUDO ":method", "GET", ":scheme", "http", ":path", "/", ":authority", "a.example"

static void
alive(uint32_t id)
{
	int calls = server.calls;

	ASKED(id, GET_PSEUDO);
	ck_assert_int_eq(server.calls, calls + 1);
	ck_assert_int_eq(server.call[calls].ended, 1);
}

/* ---- */

START_TEST(preface_in_drops)
{
	static const char text_of[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

	begin_alone(&server, CONN_SERVER);
	for (int i = 0; i < 24; i++) {
		put(text_of + i, 1);
		flush();
	}
	frame(SETTINGS, 0, 0, NULL, 0);
	flush();
	alive(1);
	end();
}
END_TEST

START_TEST(no_preface)
{
	begin_alone(&server, CONN_SERVER);
	put("GET / HTTP/1.1\r\nHost: a\r\n\r\n", 27);
	flush();
	ck_assert_int_eq(server.calls, 0);
	ck_assert_int_eq(seen.eof, 1);
	end();
}
END_TEST

START_TEST(refused_heads)
{
	static const char *const bad[][16] = {
		{ GET_PSEUDO, "X-Upper", "1" },
		{ GET_PSEUDO, "connection", "close" },
		{ GET_PSEUDO, "keep-alive", "1" },
		{ GET_PSEUDO, "proxy-connection", "1" },
		{ GET_PSEUDO, "transfer-encoding", "chunked" },
		{ GET_PSEUDO, "upgrade", "h2c" },
		{ GET_PSEUDO, "te", "gzip" },
		{ GET_PSEUDO, "x", "a\r\nb: c" },
		{ GET_PSEUDO, "x y", "1" },
		{ GET_PSEUDO, "x", " blank" },
		{ GET_PSEUDO, ":late", "1" },
		{ GET_PSEUDO, ":status", "200" },
		{ GET_PSEUDO, "x", "1", ":path", "/b" },
		{ GET_PSEUDO, "host", "a.example", "host", "a.example" },
		{ GET_PSEUDO, ":path", "/twice" },
		{ ":method", "GET", ":scheme", "http", ":path", "", ":authority", "a" },
		{ ":method", "GET", ":scheme", "http", ":authority", "a" },
		{ ":method", "GET", ":path", "/", ":authority", "a" },
		{ ":scheme", "http", ":path", "/", ":authority", "a" },
		{ GET_PSEUDO, "content-length", "1", "content-length", "2" },
		{ GET_PSEUDO, "content-length", "-1" },
		{ GET_PSEUDO, "content-length", "5" },
	};
	uint32_t id = 1;

	hello();
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++, id += 2) {
		int resets = seen.resets;

		asked(id, bad[i]);
		ck_assert_msg(server.calls == 0, "row %zu was taken", i);
		ck_assert_msg(seen.resets == resets + 1 && seen.reset == PROTOCOL_ERROR,
			      "row %zu: no reset", i);
	}
	ck_assert_int_eq(seen.goaways, 0);
	alive(id);
	end();
}
END_TEST

START_TEST(faults_of_heads)
{
	static const struct {
		const char *line[16];
		enum fault fault;
	} bad[] = {
		{ { GET_PSEUDO, "host", "b.example" }, FAULT_HOST_MISMATCH },
		{ { ":method", "GET", ":scheme", "http", ":path", "/", ":authority", "u@a" }, FAULT_BAD_HOST },
		{ { ":method", "GET", ":scheme", "ftp", ":path", "/", ":authority", "a" }, FAULT_BAD_TARGET },
		{ { ":method", "GET", ":scheme", "http", ":path", "/a#b", ":authority", "a" }, FAULT_BAD_TARGET },
		{ { GET_PSEUDO, "expect", "more" }, FAULT_BAD_EXPECT },
		{ { ":method", "CONNECT", ":authority", "a.example" }, FAULT_BAD_TARGET },
	};
	uint32_t id = 1;

	hello();
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++, id += 2) {
		asked(id, bad[i].line);
		ck_assert_int_eq(server.calls, (int)i + 1);
		ck_assert_msg(server.call[i].fault == bad[i].fault, "row %zu: %d", i,
			      server.call[i].fault);
	}
	alive(id);
	end();
}
END_TEST

START_TEST(good_heads)
{
	struct call *c = server.call;

	hello();
	ASKED(1, GET_PSEUDO, "host", "A.example:80");
	ck_assert_int_eq(c[0].faults, 0);
	unit_str_eq(c[0].msg.host, "a.example");
	ASKED(3, ":method", "GET", ":scheme", "https", ":path", "/", "host", "only.example");
	unit_str_eq(c[1].msg.host, "only.example");
	unit_str_eq(c[1].msg.scheme, "https");
	ASKED(5, GET_PSEUDO, "cookie", "a=1", "x", "y", "cookie", "b=2", "cookie", "c=3");
	unit_str_eq(line(&c[2], "cookie"), "a=1; b=2; c=3");
	unit_str_eq(line(&c[2], "x"), "y");
	ASKED(7, ":method", "OPTIONS", ":scheme", "http", ":path", "*", ":authority", "a");
	unit_str_eq(c[3].msg.path, "*");
	ASKED(9, ":method", "CONNECT", ":authority", "a.example:443");
	ck_assert_int_eq(c[4].msg.method, METHOD_CONNECT);
	unit_str_eq(c[4].msg.target, "a.example:443");
	ASKED(11, ":method", "BREW", ":scheme", "http", ":path", "/?", ":authority", "a");
	unit_str_eq(c[5].msg.method_text, "BREW");
	ck_assert(c[5].msg.has_query);
	ck_assert_int_eq(c[5].msg.query.len, 0);
	end();
}
END_TEST

START_TEST(limits_of_heads)
{
	static char longer[3000];
	struct head h;

	memset(longer, 'x', sizeof(longer) - 1);
	hello();
	h = get("/");
	add(&h, "x-one", longer);
	add(&h, "x-two", longer);
	head(1, END_STREAM, &h);
	flush();
	ck_assert_int_eq(server.call[0].fault, FAULT_HEAD_TOO_LARGE);
	h = get("/");
	for (int i = 0; i < 51; i++)
		add(&h, "x", "y");
	head(3, END_STREAM, &h);
	flush();
	ck_assert_int_eq(server.call[1].fault, FAULT_TOO_MANY_HEADERS);
	longer[1500] = '\0';
	longer[0] = '/';
	h = get(longer);
	head(5, END_STREAM, &h);
	flush();
	ck_assert_int_eq(server.call[2].fault, FAULT_TARGET_TOO_LONG);
	alive(7);
	end();
}
END_TEST

START_TEST(length_against_data)
{
	struct head h;

	hello();
	for (int i = 0; i < 3; i++) {
		uint32_t id = 1 + 2 * (uint32_t)i;

		h = get("/");
		add(&h, "content-length", "5");
		head(id, 0, &h);
		frame(DATA, 0, id, "123", 3);
		frame(DATA, END_STREAM, id, "4567", i == 0 ? 1 : i == 1 ? 4 : 2);
		flush();
		ck_assert_int_eq(server.call[i].faults, i < 2);
		ck_assert_int_eq(server.call[i].ended, i == 2);
		if (i < 2)
			ck_assert_int_eq(server.call[i].fault, FAULT_BAD_LENGTH);
	}
	ck_assert_int_eq(seen.resets, 2);
	ck_assert_int_eq(seen.reset, PROTOCOL_ERROR);
	end();
}
END_TEST

START_TEST(padding)
{
	struct head h;

	hello();
	h = get("/");
	add(&h, "content-length", "3");
	head(1, 0, &h);
	frame(DATA, PADDED | END_STREAM, 1, "\4abc\0\0\0\0", 8);
	flush();
	ck_assert_str_eq(server.call[0].body, "abc");
	ck_assert_int_eq(server.call[0].ended, 1);
	end();
}
END_TEST

START_TEST(trailers_end_it)
{
	struct head h, t = { .n = 0 };

	hello();
	h = get("/");
	head(1, 0, &h);
	frame(DATA, 0, 1, "abc", 3);
	add(&t, "x-sum", "9");
	add(&t, "authorization", "late");
	head(1, END_STREAM, &t);
	flush();
	ck_assert_int_eq(server.call[0].trailed, 1);
	ck_assert_int_eq(server.call[0].trailers.n, 2);
	ck_assert(!server.call[0].trailers.at[0].gone);
	ck_assert(server.call[0].trailers.at[1].gone);
	end();
}
END_TEST

START_TEST(trailers_without_end)
{
	struct head h, t = { .n = 0 };

	hello();
	h = get("/");
	head(1, 0, &h);
	frame(DATA, 0, 1, "abc", 3);
	add(&t, "x-sum", "9");
	head(1, 0, &t);
	flush();
	ck_assert_int_eq(seen.reset, PROTOCOL_ERROR);
	ck_assert_int_eq(server.call[0].faults, 1);
	end();
}
END_TEST

static void
goes_away(int code)
{
	flush();
	turns(10);
	look();
	ck_assert_int_ge(seen.goaways, 1);
	ck_assert_msg(seen.goaway == (uint32_t)code, "GOAWAY %u, wanted %d", seen.goaway, code);
	ck_assert_int_eq(seen.eof, 1);
	close(peer);
	peer = -1;
	turns(4);
	ck_assert_int_eq(server.closed, 1);
}

static void
reset_streams(void)
{
	/* Each is dealt with, and upstream work would be given up, but not for ever. */
	for (uint32_t i = 0; i < 1000; i++) {
		struct head h = get("/");

		head(1 + 2 * i, END_STREAM, &h);
		frame(RST_STREAM, 0, 1 + 2 * i, "\0\0\0\10", 4);
	}
}

START_TEST(rapid_reset)
{
	hello();
	reset_streams();
	goes_away(ENHANCE_YOUR_CALM);
	ck_assert_int_le(server.calls, H2_IDLE_FRAMES + 2);
	for (int i = 0; i < server.calls; i++)
		ck_assert_int_eq(server.call[i].fault, FAULT_CLIENT_GONE);
	end();
}
END_TEST

static void
flood(int type, int flags, uint32_t id, const void *payload, size_t n)
{
	for (int i = 0; i < 5000; i++)
		frame(type, flags, id, payload, n);
	goes_away(ENHANCE_YOUR_CALM);
}

START_TEST(floods)
{
	static const unsigned char setting[6] = { 0, 4, 0, 0, 255, 255 };
	struct head h;

	hello();
	flood(PING, 0, 0, "12345678", 8);
	end();
	memset(&server, 0, sizeof(server));
	hello();
	flood(SETTINGS, 0, 0, setting, 6);
	end();
	memset(&server, 0, sizeof(server));
	hello();
	flood(PRIORITY, 0, 1, "\0\0\0\0\1", 5);
	end();
	memset(&server, 0, sizeof(server));
	hello();
	h = get("/");
	head(1, 0, &h);
	flood(DATA, 0, 1, "", 0);
	end();
	memset(&server, 0, sizeof(server));
	hello();
	flood(WINDOW_UPDATE, 0, 0, "\0\0\0\1", 4);
	end();
}
END_TEST

START_TEST(continuation_flood)
{
	struct head h;

	hello();
	h = get("/");
	frame(HEADERS, END_STREAM, 1, h.at, h.n);
	for (int i = 0; i < 100; i++)
		frame(CONTINUATION, 0, 1, "", 0);
	flush();
	turns(10);
	look();
	ck_assert_int_ge(seen.goaways, 1);
	ck_assert_int_eq(server.calls, 0);
	end();
}
END_TEST

START_TEST(header_bomb)
{
	/* One line of 4 KB in the table, then a byte for each time it is meant. */
	static char value[4000];
	static unsigned char ones[16000];
	struct head h;

	hello();
	memset(value, 'v', sizeof(value) - 1);
	memset(ones, 0x80 | 62, sizeof(ones));
	h = get("/");
	h.at[h.n++] = 0x40;
	text(&h, "x", 1);
	text(&h, value, sizeof(value) - 1);
	frame(HEADERS, END_STREAM, 1, h.at, h.n);
	frame(CONTINUATION, END_HEADERS, 1, ones, sizeof(ones));
	goes_away(ENHANCE_YOUR_CALM);
	ck_assert_int_eq(server.calls, 0);
	end();
}
END_TEST

START_TEST(streams_above_the_limit)
{
	hello();
	for (uint32_t i = 0; i < H2_STREAMS + 40; i++) {
		struct head h = get("/");

		head(1 + 2 * i, END_STREAM, &h);
	}
	flush();
	ck_assert_int_eq(server.calls, H2_STREAMS);
	ck_assert_int_eq(seen.goaway, PROTOCOL_ERROR);
	end();
}
END_TEST

START_TEST(zero_window_holds_little)
{
	static const unsigned char none[6] = { 0, 4, 0, 0, 0, 0 };
	static char body[100000];

	hello();
	frame(SETTINGS, 0, 0, none, 6);
	flush();
	alive(1);
	reply(&server.call[0], 200, (struct str){ body, sizeof(body) });
	ck_assert_int_eq(server.call[0].waited, sizeof(body));
	look();
	ck_assert_int_eq(seen.data, 0);
	frame(WINDOW_UPDATE, 0, 1, "\0\0\0\12", 4);
	flush();
	ck_assert_int_eq(seen.data, 10);
	ck_assert_int_eq(server.call[0].drained, 0);
	release(&server.call[0], FAULT_CLIENT_STALLED);
	turns(2);
	look();
	ck_assert_int_eq(seen.reset, CANCEL);
	end();
}
END_TEST

START_TEST(window_beyond_all)
{
	hello();
	frame(WINDOW_UPDATE, 0, 0, "\177\377\377\377", 4);
	goes_away(FLOW_CONTROL_ERROR);
	end();
}
END_TEST

START_TEST(more_than_the_window)
{
	static char bytes[16384];
	struct head h;

	hello();
	server.hold = true;
	h = get("/");
	head(1, 0, &h);
	for (int i = 0; i < 5; i++)
		frame(DATA, 0, 1, bytes, sizeof(bytes));
	flush();
	ck_assert_int_le(server.call[0].got, H2_WINDOW + sizeof(bytes));
	ck_assert_int_eq(server.call[0].faults, 1);
	ck_assert_int_ge(seen.resets + seen.goaways, 1);
	end();
}
END_TEST

START_TEST(drain_in_two_steps)
{
	hello();
	alive(1);
	server.conn->ops->drain(server.conn, 1000);
	turns(3);
	look();
	ck_assert_int_eq(seen.goaways, 1);
	ck_assert_uint_eq(seen.last, 0x7fffffff);
	ck_assert_int_eq(seen.n[PING], 1);
	alive(3);
	frame(PING, ACK, 0, "draining", 8);
	flush();
	ck_assert_int_eq(seen.goaways, 2);
	ck_assert_uint_eq(seen.last, 3);
	ck_assert_int_eq(seen.goaway, NO_ERROR);
	ASKED(5, GET_PSEUDO);
	ck_assert_int_eq(server.calls, 2);
	for (int i = 0; i < 2; i++) {
		reply(&server.call[i], 200, STR("ok"));
		release(&server.call[i], FAULT_NONE);
	}
	turns(3);
	look();
	ck_assert_int_eq(seen.ended, 2);
	ck_assert_int_eq(seen.eof, 1);
	close(peer);
	peer = -1;
	turns(3);
	ck_assert_int_eq(server.closed, 1);
	end();
}
END_TEST

START_TEST(nobody_speaks)
{
	rules.head_ms = 100;
	begin_alone(&server, CONN_SERVER);
	for (uint64_t until = clock_ms() + 3000; !seen.eof && clock_ms() < until;) {
		loop_turn(&loop, 20);
		look();
	}
	ck_assert_int_eq(seen.eof, 1);
	end();
	rules.head_ms = 5000;
}
END_TEST

START_TEST(half_a_head)
{
	struct head h;

	hello();
	h = get("/");
	rules.head_ms = 100;
	frame(HEADERS, END_STREAM, 1, h.at, h.n);
	flush();
	for (uint64_t until = clock_ms() + 3000; !seen.eof && clock_ms() < until;) {
		loop_turn(&loop, 20);
		look();
	}
	ck_assert_int_eq(seen.eof, 1);
	ck_assert_int_eq(server.calls, 0);
	end();
	rules.head_ms = 5000;
}
END_TEST

START_TEST(idle_one_goes)
{
	rules.idle_ms = 100;
	hello();
	alive(1);
	reply(&server.call[0], 200, STR("ok"));
	release(&server.call[0], FAULT_NONE);
	for (uint64_t until = clock_ms() + 3000; !seen.eof && clock_ms() < until;) {
		loop_turn(&loop, 20);
		look();
	}
	ck_assert_int_eq(seen.eof, 1);
	ck_assert_int_eq(seen.goaway, NO_ERROR);
	end();
	rules.idle_ms = 5000;
}
END_TEST

/* ---- the client role, and a target that misbehaves */

static void
greeted(void)
{
	memset(&seen, 0, sizeof(seen));
	nsent = nin = 0;
	begin_alone(&client, CONN_CLIENT);
	recv(peer, in, 24, 0);                  /* the preface */
	frame(SETTINGS, 0, 0, NULL, 0);
	flush();
}

START_TEST(goaway_gives_back_what_was_not_seen)
{
	struct msg m = request("/");
	struct call *c[3];

	greeted();
	for (int i = 0; i < 3; i++)
		c[i] = ask(&m, true);
	frame(GOAWAY, 0, 0, "\0\0\0\1\0\0\0\0", 8);
	flush();
	ck_assert_int_eq(c[0]->faults, 0);
	ck_assert_int_eq(c[1]->fault, FAULT_UPSTREAM_CLOSED);
	ck_assert_int_eq(c[2]->fault, FAULT_UPSTREAM_CLOSED);
	ck_assert_int_eq(client.conn->ops->room(client.conn), 0);
	head(1, END_STREAM, &(struct head){ { 0x88 }, 1 });
	flush();
	ck_assert_int_eq(c[0]->msg.status, 200);
	release(c[0], FAULT_NONE);
	turns(4);
	ck_assert_int_eq(client.closed, 1);
	end();
}
END_TEST

START_TEST(bad_responses)
{
	struct msg m = request("/");
	struct head h;
	struct call *c;

	greeted();
	c = ask(&m, true);
	h.n = 0;
	add(&h, ":status", "200");
	add(&h, "connection", "close");
	head(1, END_STREAM, &h);
	flush();
	ck_assert_int_eq(c->fault, FAULT_BAD_RESPONSE);
	c = ask(&m, true);
	h.n = 0;
	add(&h, ":status", "101");
	head(3, 0, &h);
	flush();
	ck_assert_int_eq(c->faults, 1);
	c = ask(&m, true);
	h.n = 0;
	add(&h, ":status", "200");
	add(&h, "content-length", "10");
	head(5, 0, &h);
	frame(DATA, END_STREAM, 5, "short", 5);
	flush();
	ck_assert_int_eq(c->msg.status, 200);
	ck_assert_int_eq(c->ended, 0);
	ck_assert_int_eq(c->fault, FAULT_RESPONSE_INCOMPLETE);
	c = ask(&m, true);
	h.n = 0;
	add(&h, ":status", "200");
	for (int i = 0; i < 60; i++)
		add(&h, "x", "y");
	head(7, END_STREAM, &h);
	flush();
	ck_assert_int_eq(c->fault, FAULT_RESPONSE_HEAD_TOO_LARGE);
	end();
}
END_TEST

START_TEST(upgrade_to_who_has_none)
{
	struct msg m = request("/chat");
	struct call *c;

	greeted();
	m.upgrade = true;
	m.upgrade_to = STR("websocket");
	c = ask(&m, true);
	ck_assert_int_eq(c->fault, FAULT_UPGRADE_FAILED);
	end();
}
END_TEST

START_TEST(room_is_what_the_target_says)
{
	static const unsigned char two[6] = { 0, 3, 0, 0, 0, 2 };
	struct msg m = request("/");

	greeted();
	frame(SETTINGS, 0, 0, two, 6);
	flush();
	ck_assert_int_eq(client.conn->ops->room(client.conn), 2);
	ask(&m, true);
	ask(&m, true);
	ck_assert_ptr_null(client.conn->ops->open(client.conn));
	head(1, END_STREAM, &(struct head){ { 0x88 }, 1 });
	flush();
	release(&client.call[0], FAULT_NONE);
	turns(2);
	ck_assert_int_eq(client.conn->ops->room(client.conn), 1);
	end();
}
END_TEST

int
main(void)
{
	const TTest *const tests[] = {
		preface_in_drops, no_preface, refused_heads, faults_of_heads, good_heads,
		limits_of_heads, length_against_data, padding, trailers_end_it,
		trailers_without_end, rapid_reset, floods, continuation_flood, header_bomb,
		streams_above_the_limit, zero_window_holds_little, window_beyond_all,
		more_than_the_window, drain_in_two_steps, nobody_speaks, half_a_head,
		idle_one_goes, goaway_gives_back_what_was_not_seen, bad_responses,
		upgrade_to_who_has_none, room_is_what_the_target_says,
	};

	return unit_run("h2_frames", tests, sizeof(tests) / sizeof(*tests));
}
