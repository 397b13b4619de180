#include "tests/unit/unit.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "worker/net/wire.h"

static struct loop loop;
static struct wire wire;
static int peer;
static int drained, failed, destroyed;
static char text[512 * 1024];

static void
on_event(struct wire *w, uint32_t events)
{
	(void)w, (void)events;
}

static void
on_drained(struct wire *w)
{
	(void)w;
	drained++;
}

static void
on_error(struct wire *w, int error)
{
	failed = error;
	wire_close(w);
}

static void
on_destroy(struct wire *w)
{
	(void)w;
	destroyed++;
}

static const struct wire_ops ops = {
	.on_event = on_event,
	.on_drained = on_drained,
	.on_error = on_error,
	.destroy = on_destroy,
};

static void
begin(void)
{
	int fd[2], small = 4096;

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd), 0);
	setsockopt(fd[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	peer = fd[1];
	ck_assert_int_eq(loop_init(&loop), 0);
	ck_assert_int_eq(wire_open(&wire, &loop, fd[0], &ops), 0);
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (char)(i % 251);
	loop_turn(&loop, 0);
}

static size_t
received(char *to, size_t room)
{
	size_t n = 0;
	ssize_t r;

	while (n < room && (r = read(peer, to + n, room - n)) > 0)
		n += (size_t)r;
	return n;
}

START_TEST(small_pieces_leave_together)
{
	char got[64];

	begin();
	wire_send(&wire, STR("one "));
	wire_send(&wire, STR("two "));
	ck_assert_uint_eq(received(got, sizeof(got)), 0);
	ck_assert_uint_eq(wire_unsent(&wire), 8);
	loop_turn(&loop, 0);
	ck_assert_uint_eq(received(got, sizeof(got)), 8);
	ck_assert_mem_eq(got, "one two ", 8);
	ck_assert_uint_eq(wire_unsent(&wire), 0);
	ck_assert_ptr_null(wire.held.first);
}
END_TEST

START_TEST(what_is_not_taken_is_held)
{
	static char got[sizeof(text) + 16];
	size_t n = 0;

	begin();
	wire_send(&wire, STR("head "));
	wire_send_tail(&wire, (struct str){ text, sizeof(text) }, STR(" tail"));
	ck_assert_uint_gt(wire.held.len, 0);
	wire_shut(&wire);
	ck_assert(!wire.shut);
	for (int i = 0; i < 1000 && n < sizeof(text) + 10; i++) {
		n += received(got + n, sizeof(got) - n);
		loop_turn(&loop, 0);
	}
	ck_assert_uint_eq(n, sizeof(text) + 10);
	ck_assert_mem_eq(got, "head ", 5);
	ck_assert_mem_eq(got + 5, text, sizeof(text));
	ck_assert_mem_eq(got + 5 + sizeof(text), " tail", 5);
	ck_assert_int_eq(drained, 1);
	ck_assert(wire.shut);
	ck_assert_int_eq(read(peer, got, 1), 0);
	ck_assert_ptr_null(wire.held.first);
}
END_TEST

START_TEST(errors_come_in_a_turn_of_their_own)
{
	begin();
	close(peer);
	wire_send(&wire, (struct str){ text, sizeof(text) });
	ck_assert_int_eq(failed, 0);
	ck_assert_uint_eq(wire.held.len, 0);
	loop_turn(&loop, 0);
	loop_turn(&loop, 0);
	ck_assert_int_eq(failed, EPIPE);
	ck_assert_int_eq(destroyed, 1);
	wire_close(&wire);
	loop_turn(&loop, 0);
	ck_assert_int_eq(destroyed, 1);
}
END_TEST

START_TEST(closing_sends_the_outbox)
{
	char got[8];

	begin();
	wire_send(&wire, STR("bye"));
	wire_close(&wire);
	ck_assert_uint_eq(received(got, sizeof(got)), 3);
	loop_turn(&loop, 0);
	ck_assert_int_eq(destroyed, 1);
}
END_TEST

START_TEST(aborting_does_not)
{
	char got[8];

	begin();
	wire_send(&wire, STR("bye"));
	wire_abort(&wire);
	ck_assert_uint_eq(received(got, sizeof(got)), 0);
	loop_turn(&loop, 0);
	ck_assert_int_eq(destroyed, 1);
}
END_TEST

int
main(void)
{
	static const TTest *tests[5];
	size_t n = 0;

	tests[n++] = small_pieces_leave_together;
	tests[n++] = what_is_not_taken_is_held;
	tests[n++] = errors_come_in_a_turn_of_their_own;
	tests[n++] = closing_sends_the_outbox;
	tests[n++] = aborting_does_not;
	return unit_run("wire", tests, n);
}
