#include "tests/unit/http/h2_frames.h"

#include "base/clock.h"

/* What a client may cost: floods, limits, windows, time. */

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

static int
heads_told(void)
{
	int n = 0;

	for (int i = 0; i < server.calls; i++)
		n += server.call[i].heads;
	return n;
}

START_TEST(rapid_reset)
{
	hello();
	reset_streams();
	goes_away(ENHANCE_YOUR_CALM);
	ck_assert_int_le(server.calls, H2_IDLE_FRAMES + 2);
	for (int i = 0; i < server.calls; i++)
		ck_assert_int_eq(server.call[i].fault, FAULT_CLIENT_GONE);
	/* Who takes back in the same breath has not asked: nobody went upstream. */
	ck_assert_int_le(heads_told(), 8);
	end();
}
END_TEST

START_TEST(requests_take_turns)
{
	hello();
	for (uint32_t i = 0; i < 100; i++) {
		struct head h = get("/");

		head(1 + 2 * i, END_STREAM, &h);
	}
	send(peer, sent, nsent, MSG_NOSIGNAL);
	nsent = 0;
	turns(1);
	ck_assert_int_eq(server.calls, 100);
	ck_assert_int_ge(heads_told(), 32);
	ck_assert_int_le(heads_told(), 64);
	turns(4);
	ck_assert_int_eq(heads_told(), 100);
	for (int i = 0; i < 100; i++)
		ck_assert_int_eq(server.call[i].ended, 1);
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

int
main(void)
{
	const TTest *const tests[] = {
		rapid_reset, requests_take_turns, floods, continuation_flood, header_bomb,
		streams_above_the_limit, zero_window_holds_little, window_beyond_all,
		more_than_the_window, drain_in_two_steps, nobody_speaks, half_a_head,
		idle_one_goes,
	};

	return unit_run("h2_floods", tests, sizeof(tests) / sizeof(*tests));
}
