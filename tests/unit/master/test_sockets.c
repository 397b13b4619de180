#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "master/bind.h"
#include "master/sockets.h"

struct test {
	struct sockets s;
	struct conf_model model;
	struct conf_listener listener;
	struct conf_bind binds[2];
	char text[2][32];
	struct arena arena;
	struct diag diag;
};

/* A port that was free a moment ago. */
static uint16_t
free_port(void)
{
	struct sockaddr_in in = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(in);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	ck_assert_int_eq(bind(fd, (struct sockaddr *)&in, len), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&in, &len), 0);
	close(fd);
	return ntohs(in.sin_port);
}

static void
test_init(struct test *t, size_t nbinds)
{
	memset(t, 0, sizeof(*t));
	arena_init(&t->arena, NULL, 0, 1 << 20);
	diag_init(&t->diag, &t->arena);
	for (size_t i = 0; i < nbinds; i++) {
		snprintf(t->text[i], sizeof(t->text[i]), "127.0.0.1:%u", free_port());
		t->binds[i].text = str_of(t->text[i]);
		t->binds[i].where = (struct where){ "test.conf", 7 + (uint32_t)i, 1, 1 };
	}
	t->listener.binds = t->binds;
	t->listener.nbinds = nbinds;
	t->model.listeners = &t->listener;
	t->model.nlisteners = 1;
}

static void
test_commit(struct test *t, unsigned workers)
{
	const char *address;

	ck_assert_int_eq(sockets_prepare(&t->s, &t->model, workers, 0, &t->diag), 0);
	ck_assert_int_eq(sockets_listen(&t->s, &address), 0);
	sockets_commit(&t->s);
}

static void
test_end(struct test *t)
{
	sockets_close(&t->s, true);
	arena_reset(&t->arena);
}

static void
add(void *arg, const struct bound *b, const struct socket *s)
{
	(void)b;
	ck_assert_int_ge(s->fd, 0);
	++*(unsigned *)arg;
}

static unsigned
count(const struct sockets *s, unsigned worker, unsigned workers, bool coming)
{
	unsigned n = 0;

	sockets_each(s, worker, workers, coming, add, &n);
	return n;
}

/* 0, or an errno. */
static int
connect_to(const char *address)
{
	struct bind_address a;
	int fd, error;

	ck_assert(bind_parse(&a, str_of(address)));
	fd = socket(AF_INET, SOCK_STREAM, 0);
	error = connect(fd, &a.u.any, a.len) < 0 ? errno : 0;
	close(fd);
	return error;
}

START_TEST(addresses_are_parsed)
{
	struct bind_address a;

	ck_assert(bind_parse(&a, STR("0.0.0.0:80")) && a.port == 80 &&
		  a.u.any.sa_family == AF_INET);
	ck_assert(bind_parse(&a, STR("*:65535")) && a.port == 65535);
	ck_assert(bind_parse(&a, STR("[::1]:8080")) && a.u.any.sa_family == AF_INET6);
	ck_assert(bind_parse(&a, STR("unix:/run/x.sock")) &&
		  a.u.any.sa_family == AF_UNIX);
	ck_assert(!bind_parse(&a, STR("")));
	ck_assert(!bind_parse(&a, STR(":80")));
	ck_assert(!bind_parse(&a, STR("127.0.0.1")));
	ck_assert(!bind_parse(&a, STR("127.0.0.1:")));
	ck_assert(!bind_parse(&a, STR("127.0.0.1:0")));
	ck_assert(!bind_parse(&a, STR("127.0.0.1:65536")));
	ck_assert(!bind_parse(&a, STR("127.0.0.1:80x")));
	ck_assert(!bind_parse(&a, STR("localhost:80")));
	ck_assert(!bind_parse(&a, STR("::1:80")));
	ck_assert(!bind_parse(&a, STR("[::1]80")));
	ck_assert(!bind_parse(&a, STR("[::1:80")));
	ck_assert(!bind_parse(&a, STR("unix:relative")));
	ck_assert(!bind_parse(&a, STR("unix:")));
}
END_TEST

START_TEST(every_slot_has_its_socket_and_none_listens_before_the_commit)
{
	struct test t;
	const char *address;

	test_init(&t, 1);
	ck_assert_int_eq(sockets_prepare(&t.s, &t.model, 3, 0, &t.diag), 0);
	ck_assert_int_ne(connect_to(t.text[0]), 0);
	for (unsigned i = 0; i < 3; i++)
		ck_assert_uint_eq(count(&t.s, i, 3, true), 1);
	ck_assert_uint_eq(count(&t.s, 0, 3, false), 0);
	ck_assert_int_eq(sockets_listen(&t.s, &address), 0);
	sockets_commit(&t.s);
	ck_assert_int_eq(connect_to(t.text[0]), 0);
	ck_assert_uint_eq(count(&t.s, 0, 3, false), 1);
	test_end(&t);
}
END_TEST

START_TEST(fewer_workers_serve_the_sockets_of_all_slots)
{
	struct test t;

	test_init(&t, 1);
	test_commit(&t, 4);
	test_commit(&t, 3);
	ck_assert_uint_eq(count(&t.s, 0, 3, false), 2);
	ck_assert_uint_eq(count(&t.s, 1, 3, false), 1);
	test_commit(&t, 1);
	ck_assert_uint_eq(count(&t.s, 0, 1, false), 4);
	test_commit(&t, 4);
	ck_assert_uint_eq(count(&t.s, 3, 4, false), 1);
	test_end(&t);
}
END_TEST

START_TEST(an_abort_leaves_what_was_and_takes_back_what_was_new)
{
	struct test t;
	uint32_t before;

	test_init(&t, 2);
	t.listener.nbinds = 1;
	test_commit(&t, 1);
	before = t.s.first->slots[0].id;
	t.listener.nbinds = 2;
	ck_assert_int_eq(sockets_prepare(&t.s, &t.model, 2, 0, &t.diag), 0);
	sockets_abort(&t.s);
	ck_assert_uint_eq(t.s.first->nslots, 1);
	ck_assert_ptr_null(t.s.first->next);
	ck_assert(sockets_has(&t.s, before));
	ck_assert(!sockets_has(&t.s, before + 1));
	ck_assert_int_eq(connect_to(t.text[0]), 0);
	ck_assert_int_ne(connect_to(t.text[1]), 0);
	test_end(&t);
}
END_TEST

START_TEST(an_address_that_is_no_longer_named_is_closed_by_the_sweep)
{
	struct test t;

	test_init(&t, 2);
	test_commit(&t, 1);
	t.listener.nbinds = 1;
	test_commit(&t, 1);
	ck_assert_uint_eq(count(&t.s, 0, 1, false), 1);
	ck_assert_int_eq(connect_to(t.text[1]), 0);
	sockets_sweep(&t.s);
	ck_assert_int_ne(connect_to(t.text[1]), 0);
	ck_assert_int_eq(connect_to(t.text[0]), 0);
	test_end(&t);
}
END_TEST

START_TEST(an_address_of_another_service_is_an_error_although_it_would_share)
{
	struct test t, other;

	test_init(&other, 1);
	test_commit(&other, 1);
	test_init(&t, 1);
	t.binds[0].text = other.binds[0].text;
	ck_assert_int_eq(sockets_prepare(&t.s, &t.model, 1, 0, &t.diag), -1);
	ck_assert_int_eq(t.diag.errors, 1);
	ck_assert_int_eq(t.diag.first->code, 520);
	ck_assert_uint_eq(t.diag.first->where.line, 7);
	sockets_abort(&t.s);
	ck_assert_ptr_null(t.s.first);
	test_end(&t);
	test_end(&other);
}
END_TEST

START_TEST(a_stale_unix_socket_is_replaced_a_served_one_is_not)
{
	struct test t, other;
	char path[64];

	snprintf(path, sizeof(path), "unix:/tmp/postern-test-%d.sock", (int)getpid());
	test_init(&t, 1);
	t.binds[0].text = str_of(path);
	test_commit(&t, 2);
	ck_assert_uint_eq(count(&t.s, 0, 2, false), 1);
	ck_assert_uint_eq(count(&t.s, 1, 2, false), 1);
	test_init(&other, 1);
	other.binds[0].text = str_of(path);
	ck_assert_int_eq(sockets_prepare(&other.s, &other.model, 1, 0, &other.diag), -1);
	sockets_abort(&other.s);
	ck_assert_int_eq(access(path + 5, F_OK), 0);
	sockets_close(&t.s, false);
	ck_assert_int_eq(access(path + 5, F_OK), 0);
	ck_assert_int_eq(sockets_prepare(&other.s, &other.model, 1, 0, &other.diag), 0);
	sockets_close(&other.s, true);
	ck_assert_int_eq(access(path + 5, F_OK), -1);
	test_end(&t);
	test_end(&other);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("master/sockets");
	TCase *t = tcase_create("all");
	SRunner *r;
	int failed;

	tcase_add_test(t, addresses_are_parsed);
	tcase_add_test(t, every_slot_has_its_socket_and_none_listens_before_the_commit);
	tcase_add_test(t, fewer_workers_serve_the_sockets_of_all_slots);
	tcase_add_test(t, an_abort_leaves_what_was_and_takes_back_what_was_new);
	tcase_add_test(t, an_address_that_is_no_longer_named_is_closed_by_the_sweep);
	tcase_add_test(t,
		       an_address_of_another_service_is_an_error_although_it_would_share);
	tcase_add_test(t, a_stale_unix_socket_is_replaced_a_served_one_is_not);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
