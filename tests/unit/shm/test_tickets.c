/* Keys of session tickets: turned by the master, read meanwhile. */
#include "tests/unit/unit.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shm/tickets.h"

static char dir[64], path[96];
static struct region *region;
static struct tickets *tickets;

static void
reopen(void)
{
	region = region_open(path, REGION_SIZE);
	ck_assert_ptr_nonnull(region);
	tickets = tickets_open(region);
	ck_assert_ptr_nonnull(tickets);
}

static void
setup(void)
{
	snprintf(dir, sizeof(dir), "/tmp/postern-tickets-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/region", dir);
	reopen();
}

static void
teardown(void)
{
	region_close(region);
	unlink(path);
	rmdir(dir);
}

static int
opens(const struct ticket_key *sealed)
{
	struct ticket_key k;
	int found = tickets_open_by(tickets, sealed->name, &k);

	if (found)
		ck_assert_mem_eq(&k, sealed, sizeof(k));
	return found;
}

/* Whether these bytes are anywhere in the region's file. */
static bool
lies_there(const void *bytes, size_t n)
{
	const char *at = (const char *)tickets;

	for (size_t i = 0; i + n <= 1024; i++)
		if (!memcmp(at + i, bytes, n))
			return true;
	return false;
}

START_TEST(keys_open_what_they_have_sealed)
{
	struct ticket_key a, b, zero = { 0 };

	setup();
	tickets_seal(tickets, &a);
	tickets_seal(tickets, &b);
	ck_assert_mem_eq(&a, &b, sizeof(a));
	ck_assert_mem_ne(a.aes, zero.aes, 32);
	ck_assert_mem_ne(a.hmac, a.aes, 32);
	ck_assert_int_eq(opens(&a), 1);
	b.name[0] ^= 1;
	ck_assert_int_eq(opens(&b), 0);
	ck_assert_int_eq(opens(&zero), 0);
	teardown();
}
END_TEST

START_TEST(keys_are_turned)
{
	uint64_t now = 1000000;
	struct ticket_key first, second, third;

	setup();
	ck_assert(!tickets_tick(tickets, now));
	tickets_seal(tickets, &first);
	ck_assert(!tickets_tick(tickets, now + TICKETS_TURN_MS - 1));
	ck_assert(tickets_tick(tickets, now += TICKETS_TURN_MS));
	ck_assert(!tickets_tick(tickets, now));
	tickets_seal(tickets, &second);
	ck_assert_mem_ne(&first, &second, sizeof(first));
	ck_assert_int_eq(opens(&first), 2);
	ck_assert_int_eq(opens(&second), 1);
	ck_assert(lies_there(first.aes, 32));
	ck_assert(tickets_tick(tickets, now += TICKETS_TURN_MS));
	tickets_seal(tickets, &third);
	ck_assert_int_eq(opens(&first), 0);
	ck_assert_int_eq(opens(&second), 2);
	/* What was turned out is gone. */
	ck_assert(!lies_there(first.aes, 32) && !lies_there(first.hmac, 32));
	teardown();
}
END_TEST

START_TEST(a_clock_put_back_stops_nothing)
{
	uint64_t now = 100 * (uint64_t)TICKETS_TURN_MS;

	setup();
	ck_assert(!tickets_tick(tickets, now));
	ck_assert(!tickets_tick(tickets, now /= 2));
	ck_assert(tickets_tick(tickets, now + TICKETS_TURN_MS));
	teardown();
}
END_TEST

START_TEST(keys_outlive_the_master)
{
	struct ticket_key a;

	setup();
	tickets_seal(tickets, &a);
	region_close(region);
	reopen();
	ck_assert_int_eq(opens(&a), 1);
	ck_assert_ptr_eq(tickets_find(region), tickets);
	teardown();
}
END_TEST

/* A key that is half of one and half of another would show in its name: turned often,
 * read all the time. */
START_TEST(no_reader_sees_half_a_turn)
{
	uint64_t now = 1000000;
	int status;
	pid_t pid;

	setup();
	tickets_tick(tickets, now);
	pid = fork();
	if (pid == 0) {
		for (int i = 0; i < 200000; i++) {
			struct ticket_key a, b;

			tickets_seal(tickets, &a);
			if (tickets_open_by(tickets, a.name, &b) &&
			    memcmp(&a, &b, sizeof(a)))
				_exit(1);
		}
		_exit(0);
	}
	while (waitpid(pid, &status, WNOHANG) == 0)
		tickets_tick(tickets, now += TICKETS_TURN_MS);
	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), 0);
	teardown();
}
END_TEST

/* Killed in the middle of a turn: whoever opens the region next makes new keys. */
START_TEST(half_a_turn_is_repaired)
{
	struct ticket_key a, b;

	setup();
	tickets_seal(tickets, &a);
	*(uint64_t *)tickets |= 1;
	tickets_seal(tickets, &b);
	ck_assert_mem_ne(&a, &b, sizeof(a));
	ck_assert_int_eq(tickets_open_by(tickets, a.name, &b), 0);
	region_close(region);
	reopen();
	tickets_seal(tickets, &a);
	ck_assert_int_eq(opens(&a), 1);
	teardown();
}
END_TEST

int
main(void)
{
	const TTest *const tests[] = {
		keys_open_what_they_have_sealed, keys_are_turned,
		a_clock_put_back_stops_nothing,  keys_outlive_the_master,
		no_reader_sees_half_a_turn,      half_a_turn_is_repaired,
	};

	return unit_run("tickets", tests, sizeof(tests) / sizeof(*tests));
}
