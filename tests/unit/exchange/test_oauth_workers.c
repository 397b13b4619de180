/* Access tokens of several workers: who fetches, who waits, what all of them use. */
#include <stdio.h>
#include <unistd.h>

#include "tests/unit/unit.h"
#include "worker/exchange/oauth_fetch.h"

/* The flight of the last fetch; answered by answer(). */
static struct {
	struct oauth *token;
	const struct conf_credential *conf;
	void (*done)(struct oauth *, const struct conf_credential *, enum fault, int,
		     struct str);
	int n;
} flight;

static void
fake_fetch(struct generation *g, const struct conf_credential *c,
	   void (*done)(struct oauth *, const struct conf_credential *, enum fault, int,
			struct str),
	   struct oauth *t)
{
	(void)g;
	flight.token = t;
	flight.conf = c;
	flight.done = done;
	flight.n++;
}

static int32_t pid;                     /* of who is working; both live */

#define oauth_fetch fake_fetch
#define getpid() pid
#include "worker/exchange/oauth.c"
#undef getpid

static char dir[64], path[96];
static struct shared shared;
static struct stats_page page;
static struct worker worker[2];
static struct conf_target target = { .url = { "https://id.example.com", 22 } };
static struct conf_upstream endpoint = { .name = { "id", 2 },
					 .targets = &target,
					 .ntargets = 1,
					 .timeout = { 5000, 60000, 0 } };
static struct conf_upstream upstream[1];
static struct conf_model model = { .upstreams = upstream, .nupstreams = 1 };
static struct conf_credential *const conf = &upstream[0].credential;
static struct oauth **bound[2];
static enum fault fault;

static void
pass(uint64_t ms)
{
	clock_state.ms += ms;
	clock_state.now = clock_state.ms * 1000000;
}

static void
setup(void)
{
	snprintf(dir, sizeof(dir), "/tmp/postern-oauth-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/region", dir);
	shared.region = region_open(path, REGION_SIZE);
	ck_assert_ptr_nonnull(shared.region);
	shared.tokens = tokens_open(shared.region);
	ck_assert_ptr_nonnull(shared.tokens);
	clock_state.ms = 100 * 3600000ull;
	pass(0);
	*conf = (struct conf_credential){
		.type = CONF_CRED_OAUTH2,
		.token_upstream = &endpoint,
		.token_path = STR("/token"),
		.client_id = STR("me"),
		.secret = { .bytes = STR("secret") },
		.early = 60000,
	};
	for (int i = 0; i < 2; i++) {
		list_init(&worker[i].tokens);
		list_init(&worker[i].exchanges);
		worker[i].page = &page;
		worker[i].shared = &shared;
		bound[i] = oauth_bind(&worker[i], &model);
	}
}

static void
teardown(void)
{
	for (int i = 0; i < 2; i++) {
		oauth_unbind(bound[i], 1);
		ck_assert(list_empty(&worker[i].tokens));
		alarms_free(&worker[i].loop.alarms);
	}
	region_close(shared.region);
	unlink(path);
	rmdir(dir);
}

static struct oauth *
of(int i)
{
	return bound[i][0];
}

static enum oauth_state
ask(int i)
{
	pid = i ? getppid() : getpid();
	return oauth_ask(of(i), NULL, conf, &fault);
}

static void
answer(enum fault f, int status, const char *json)
{
	ck_assert_ptr_nonnull(flight.token);
	flight.done(flight.token, flight.conf, f, status, str_of(json));
	flight.token = NULL;
}

/* Alarms of a worker that are due. */
static void
turn(int i)
{
	alarms_run(&worker[i].loop.alarms, clock_now());
}

START_TEST(one_fetches_for_both)
{
	setup();
	ck_assert_int_eq(ask(0), OAUTH_WAIT);
	ck_assert_int_eq(ask(0), OAUTH_WAIT);
	ck_assert_int_eq(ask(1), OAUTH_WAIT);
	pass(WATCH_MS);
	turn(1);
	ck_assert_int_eq(ask(1), OAUTH_WAIT);
	ck_assert_int_eq(flight.n, 1);
	answer(FAULT_NONE, 200, "{\"access_token\":\"a\",\"expires_in\":3600}");
	ck_assert_int_eq(ask(0), OAUTH_READY);
	ck_assert_int_eq(ask(1), OAUTH_READY);
	unit_str_eq(oauth_value(of(0)), "Bearer a");
	unit_str_eq(oauth_value(of(1)), "Bearer a");
	/* It looks no more. */
	pass(WATCH_MS);
	turn(1);
	ck_assert_uint_eq(worker[1].loop.alarms.n, 0);
	ck_assert_int_eq(flight.n, 1);
	teardown();
}
END_TEST

static void
have(const char *json)
{
	ask(0);
	answer(FAULT_NONE, 200, json);
	ck_assert_int_eq(ask(1), OAUTH_READY);
}

START_TEST(renewed_by_one_while_both_use_the_old)
{
	setup();
	have("{\"access_token\":\"a\",\"expires_in\":3600}");
	pass(3600000 - 60001);
	ck_assert_int_eq(ask(1), OAUTH_READY);
	ck_assert_int_eq(flight.n, 1);
	pass(1);
	ck_assert_int_eq(ask(1), OAUTH_READY);
	ck_assert_int_eq(ask(0), OAUTH_READY);
	ck_assert_int_eq(flight.n, 2);
	ck_assert_ptr_eq(flight.token, of(1));
	unit_str_eq(oauth_value(of(0)), "Bearer a");
	answer(FAULT_NONE, 200, "{\"access_token\":\"b\",\"expires_in\":3600}");
	ck_assert_int_eq(ask(0), OAUTH_READY);
	unit_str_eq(oauth_value(of(0)), "Bearer b");
	ck_assert_int_eq(flight.n, 2);
	teardown();
}
END_TEST

START_TEST(a_failure_is_everybodys)
{
	setup();
	ask(0);
	ask(1);
	answer(FAULT_NONE, 401, "{}");
	pass(WATCH_MS);
	turn(1);
	ck_assert_int_eq(ask(1), OAUTH_FAILED);
	ck_assert_int_eq(fault, FAULT_CREDENTIAL_REFUSED);
	ck_assert_int_eq(ask(0), OAUTH_FAILED);
	ck_assert_int_eq(fault, FAULT_CREDENTIAL_REFUSED);
	pass(FAILED_MS - WATCH_MS);
	ck_assert_int_eq(ask(1), OAUTH_WAIT);
	ck_assert_int_eq(ask(0), OAUTH_WAIT);
	ck_assert_int_eq(flight.n, 2);
	answer(FAULT_CONNECT_TIMEOUT, 0, "");
	pass(WATCH_MS);
	turn(0);
	ck_assert_int_eq(ask(0), OAUTH_FAILED);
	ck_assert_int_eq(fault, FAULT_CREDENTIAL_UNREACHABLE);
	teardown();
}
END_TEST

/* The worker that fetches has to go. */
START_TEST(a_flight_that_is_given_up)
{
	setup();
	ask(0);
	ask(1);
	answer(FAULT_DRAINING, 0, "");
	pass(WATCH_MS);
	turn(1);
	ck_assert_int_eq(ask(1), OAUTH_WAIT);
	ck_assert_int_eq(flight.n, 2);
	ck_assert_ptr_eq(flight.token, of(1));
	answer(FAULT_NONE, 200, "{\"access_token\":\"a\"}");
	teardown();
}
END_TEST

START_TEST(a_holder_that_hangs)
{
	struct oauth *late;

	setup();
	ask(0);
	late = flight.token;
	ask(1);
	pass(oauth_fetch_most(conf) + LATE_MS);
	turn(1);
	ck_assert_int_eq(ask(1), OAUTH_WAIT);
	ck_assert_int_eq(flight.n, 2);
	answer(FAULT_NONE, 200, "{\"access_token\":\"b\"}");
	/* What comes late is nobody's but its own, and only until it looks. */
	flight.token = late;
	answer(FAULT_NONE, 200, "{\"access_token\":\"late\"}");
	ck_assert_int_eq(ask(1), OAUTH_READY);
	unit_str_eq(oauth_value(of(1)), "Bearer b");
	ck_assert_int_eq(ask(0), OAUTH_READY);
	unit_str_eq(oauth_value(of(0)), "Bearer b");
	teardown();
}
END_TEST

START_TEST(doubted_once)
{
	setup();
	have("{\"access_token\":\"a\",\"expires_in\":3600}");
	pass(NEW_MS - 1);
	oauth_doubt(of(0));
	ck_assert_int_eq(ask(0), OAUTH_READY);
	pass(1);
	oauth_doubt(of(0));
	/* An attempt that is under way has still what it was promised. */
	unit_str_eq(oauth_value(of(0)), "Bearer a");
	ck_assert_int_eq(ask(0), OAUTH_WAIT);
	ck_assert_int_eq(flight.n, 2);
	answer(FAULT_NONE, 200, "{\"access_token\":\"b\",\"expires_in\":3600}");
	/* The other still thinks of the old one. */
	pass(NEW_MS);
	oauth_doubt(of(1));
	ck_assert_int_eq(ask(1), OAUTH_READY);
	unit_str_eq(oauth_value(of(1)), "Bearer b");
	ck_assert_int_eq(ask(0), OAUTH_READY);
	ck_assert_int_eq(flight.n, 2);
	teardown();
}
END_TEST

/* Another publishes between the look and the lease: nothing is left to be fetched. */
START_TEST(through_just_before)
{
	setup();
	have("{\"access_token\":\"a\",\"expires_in\":3600}");
	pass(3600000);
	ask(0);
	answer(FAULT_NONE, 200, "{\"access_token\":\"b\",\"expires_in\":3600}");
	pid = getppid();
	ck_assert(due(of(1), conf, clock_ms()));
	ck_assert(!take_lease(of(1), conf, clock_ms()));
	ck_assert(!tokens_leased(of(1)->row, clock_ms()));
	unit_str_eq(oauth_value(of(1)), "Bearer b");
	teardown();
}
END_TEST

START_TEST(without_room_each_is_on_its_own)
{
	setup();
	of(0)->row = of(1)->row = NULL;
	ck_assert_int_eq(ask(0), OAUTH_WAIT);
	answer(FAULT_NONE, 200, "{\"access_token\":\"a\"}");
	ck_assert_int_eq(ask(1), OAUTH_WAIT);
	ck_assert_int_eq(flight.n, 2);
	answer(FAULT_NONE, 400, "");
	ck_assert_int_eq(ask(1), OAUTH_FAILED);
	ck_assert_int_eq(fault, FAULT_CREDENTIAL_REFUSED);
	ck_assert_int_eq(ask(0), OAUTH_READY);
	unit_str_eq(oauth_value(of(0)), "Bearer a");
	oauth_doubt(of(0));
	ck_assert_int_eq(ask(0), OAUTH_READY);
	pass(NEW_MS);
	oauth_doubt(of(0));
	ck_assert_int_eq(ask(0), OAUTH_WAIT);
	answer(FAULT_NONE, 200, "{\"access_token\":\"c\"}");
	teardown();
}
END_TEST

/* The row became another's: it is looked for anew. */
START_TEST(a_row_that_gave_way)
{
	struct tokens_row *was;

	setup();
	have("{\"access_token\":\"a\"}");
	was = of(0)->row;
	was->name = 7;
	was->version += 2;
	ck_assert_int_eq(ask(0), OAUTH_READY);
	ck_assert_ptr_ne(of(0)->row, was);
	pass(UNSAID_S * 1000);
	ck_assert_int_eq(ask(0), OAUTH_WAIT);
	ck_assert_int_eq(ask(1), OAUTH_WAIT);
	ck_assert_int_eq(flight.n, 2);
	answer(FAULT_NONE, 200, "{\"access_token\":\"b\"}");
	ck_assert_int_eq(ask(1), OAUTH_READY);
	unit_str_eq(oauth_value(of(1)), "Bearer b");
	teardown();
}
END_TEST

START_TEST(what_makes_it_another_token)
{
	struct conf_target other = { .url = { "https://id.example.org", 22 } };
	struct str *part[] = { &conf->token_path, &conf->client_id, &conf->scope,
			       &conf->audience,   &conf->secret.bytes, &target.url };
	struct tokens_key k, same;

	setup();
	k = key_of(conf);
	same = key_of(conf);
	ck_assert_mem_eq(&k, &same, sizeof(k));
	ck_assert_mem_ne(&k.name, k.seal.byte, sizeof(k.name));
	for (size_t i = 0; i < sizeof(part) / sizeof(*part); i++) {
		struct str was = *part[i];

		*part[i] = i == 5 ? other.url : STR("x");
		same = key_of(conf);
		ck_assert_uint_ne(k.name, same.name);
		ck_assert(!digest_same(&k.seal, &same.seal));
		*part[i] = was;
	}
	/* When it is renewed is no part of it. */
	conf->early = 1;
	same = key_of(conf);
	ck_assert_uint_eq(k.name, same.name);
	teardown();
}
END_TEST

int
main(void)
{
	const TTest *const tests[] = {
		one_fetches_for_both,
		renewed_by_one_while_both_use_the_old,
		a_failure_is_everybodys,
		a_flight_that_is_given_up,
		a_holder_that_hangs,
		doubted_once,
		through_just_before,
		without_room_each_is_on_its_own,
		a_row_that_gave_way,
		what_makes_it_another_token,
	};

	return unit_run("exchange/oauth of workers", tests, sizeof tests / sizeof *tests);
}
