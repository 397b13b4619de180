#include <check.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "master/notify.h"

static struct sockaddr_un at;

/* A socket for what is told; its name has our pid at its end. */
static int
listen_at(const char *name, bool abstract)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	socklen_t len;

	at.sun_family = AF_UNIX;
	len = (socklen_t)snprintf(at.sun_path, sizeof(at.sun_path), "%s.%d", name,
				  (int)getpid());
	setenv("NOTIFY_SOCKET", at.sun_path, 1);
	if (abstract)
		at.sun_path[0] = '\0';
	len += (socklen_t)offsetof(struct sockaddr_un, sun_path);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&at, len), 0);
	return fd;
}

static const char *
hear(int fd, char *text, size_t size)
{
	ssize_t n = recv(fd, text, size - 1, 0);

	text[n > 0 ? n : 0] = '\0';
	return text;
}

static void
forget(int fd)
{
	close(fd);
	if (at.sun_path[0])
		unlink(at.sun_path);
}

START_TEST(a_path_is_told)
{
	char text[64];
	int fd = listen_at("/tmp/postern-notify", false);

	notify_send("READY=1\nSTATUS=%d workers", 2);
	ck_assert_str_eq(hear(fd, text, sizeof(text)), "READY=1\nSTATUS=2 workers");
	forget(fd);
}
END_TEST

START_TEST(an_abstract_name_is_told)
{
	char text[64];
	int fd = listen_at("@postern-notify", true);

	notify_send("STOPPING=1");
	ck_assert_str_eq(hear(fd, text, sizeof(text)), "STOPPING=1");
	forget(fd);
}
END_TEST

START_TEST(nobody_to_tell_is_no_harm)
{
	unsetenv("NOTIFY_SOCKET");
	notify_send("READY=1");
	setenv("NOTIFY_SOCKET", "vsock:2:1", 1);
	notify_send("READY=1");
	setenv("NOTIFY_SOCKET", "/tmp/postern-nobody-there", 1);
	notify_send("READY=1");
	setenv("NOTIFY_SOCKET", "@", 1);
	notify_send("READY=1");
}
END_TEST

START_TEST(the_watchdog_is_fed_twice_as_often_as_it_asks)
{
	char pid[16];

	unsetenv("WATCHDOG_USEC");
	ck_assert_uint_eq(notify_watchdog(0), 0);
	setenv("WATCHDOG_USEC", "10000000", 1);
	unsetenv("WATCHDOG_PID");
	ck_assert_uint_eq(notify_watchdog(0), 5000);
	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	setenv("WATCHDOG_PID", pid, 1);
	ck_assert_uint_eq(notify_watchdog(0), 5000);
	setenv("WATCHDOG_PID", "1", 1);
	ck_assert_uint_eq(notify_watchdog(0), 0);
	ck_assert_uint_eq(notify_watchdog(1), 5000);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("master/notify");
	TCase *t = tcase_create("all");
	SRunner *r;
	int failed;

	tcase_add_test(t, a_path_is_told);
	tcase_add_test(t, an_abstract_name_is_told);
	tcase_add_test(t, nobody_to_tell_is_no_harm);
	tcase_add_test(t, the_watchdog_is_fed_twice_as_often_as_it_asks);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
