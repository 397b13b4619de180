/* Messages and descriptors between master and worker. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "worker/channel.h"

START_TEST(a_message_arrives_with_its_descriptor)
{
	struct channel_msg m = { .kind = CHANNEL_SOCKET,
				 .generation = 7,
				 .text = "127.0.0.1:80" },
			   got;
	int ends[2], pipes[2], fd = -2;
	char c = 0;

	ck_assert_int_eq(channel_pair(ends), 0);
	ck_assert_int_eq(pipe(pipes), 0);
	ck_assert_int_eq(channel_receive(ends[1], &got, &fd), 0);
	ck_assert_int_eq(channel_send(ends[0], &m, pipes[1]), 0);
	m.kind = CHANNEL_COMMIT;
	ck_assert_int_eq(channel_send(ends[0], &m, -1), 0);
	close(pipes[1]);

	ck_assert_int_eq(channel_receive(ends[1], &got, &fd), 1);
	ck_assert_uint_eq(got.kind, CHANNEL_SOCKET);
	ck_assert_uint_eq(got.generation, 7);
	ck_assert_str_eq(got.text, "127.0.0.1:80");
	ck_assert_int_ge(fd, 0);
	ck_assert_int_ne(fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);
	ck_assert_int_eq(write(fd, "x", 1), 1);
	ck_assert_int_eq(read(pipes[0], &c, 1), 1);
	close(fd);

	ck_assert_int_eq(channel_receive(ends[1], &got, &fd), 1);
	ck_assert_uint_eq(got.kind, CHANNEL_COMMIT);
	ck_assert_int_eq(fd, -1);
	ck_assert_int_eq(channel_receive(ends[1], &got, &fd), 0);
}
END_TEST

START_TEST(the_end_is_noticed_after_what_was_said_before)
{
	struct channel_msg m = { .kind = CHANNEL_READY }, got;
	int ends[2], fd;

	ck_assert_int_eq(channel_pair(ends), 0);
	ck_assert_int_eq(channel_send(ends[0], &m, -1), 0);
	close(ends[0]);
	ck_assert_int_eq(channel_receive(ends[1], &got, &fd), 1);
	ck_assert_int_eq(channel_receive(ends[1], &got, &fd), -1);
	ck_assert_int_eq(channel_send(ends[1], &m, -1), -1);
	ck_assert_int_eq(errno, EPIPE);
}
END_TEST

START_TEST(a_reader_that_hangs_is_waited_for_a_second)
{
	struct channel_msg m = { .kind = CHANNEL_READY };
	struct timespec a, b;
	int ends[2], n = 0;

	ck_assert_int_eq(channel_pair(ends), 0);
	clock_gettime(CLOCK_MONOTONIC, &a);
	while (n < 100000 && channel_send(ends[0], &m, -1) == 0)
		n++;
	clock_gettime(CLOCK_MONOTONIC, &b);
	ck_assert_int_eq(errno, EAGAIN);
	ck_assert_int_ge(n, 4);
	ck_assert_int_ge(b.tv_sec - a.tv_sec, 1);
	ck_assert_int_le(b.tv_sec - a.tv_sec, 3);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("worker/channel");
	TCase *t = tcase_create("all");
	SRunner *r;
	int failed;

	tcase_add_test(t, a_message_arrives_with_its_descriptor);
	tcase_add_test(t, the_end_is_noticed_after_what_was_said_before);
	tcase_add_test(t, a_reader_that_hangs_is_waited_for_a_second);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
