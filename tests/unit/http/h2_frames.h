/* h2_frames — a peer that says what it likes: frames by hand, heads of literal lines. It is the other end of one of the
 * sides of h2_sides.h. */
#ifndef TESTS_UNIT_HTTP_H2_FRAMES_H
#define TESTS_UNIT_HTTP_H2_FRAMES_H

#include "tests/unit/http/h2_sides.h"

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

#endif
