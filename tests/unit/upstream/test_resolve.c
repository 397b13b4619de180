#include "tests/unit/route/model.h"

#include "worker/upstream/upstream.h"

static struct conf_target *targets;

static void
begin(void)
{
	model_begin();
	model.nupstreams = 1;
	model.upstreams = ARENA_NEWS(&arena, struct conf_upstream, 1);
	model.upstreams[0].targets = targets = ARENA_NEWS(&arena, struct conf_target, 8);
	model.ntargets = 0;
}

static void
target(const char *host, uint16_t port, const char *path)
{
	struct conf_target *t = &targets[model.ntargets];

	t->id = t->index = model.ntargets++;
	t->url = str_of(host);
	t->host = str_of(host);
	t->path = str_of(path);
	t->port = port;
	t->where = model_where(20 + t->id, 4);
	model.upstreams[0].ntargets = model.ntargets;
}

START_TEST(addresses_and_sockets)
{
	struct upstream_target *t;

	begin();
	target("10.0.0.1", 8080, "");
	target("2001:db8::1", 443, "");
	target("", 0, "/run/app.sock");
	t = upstream_compile(&model, &arena, &diag);
	ck_assert_ptr_null(diag.first);
	unit_str_eq(t[0].key, "10.0.0.1:8080");
	unit_str_eq(t[1].key, "[2001:db8::1]:443");
	unit_str_eq(t[2].key, "unix:/run/app.sock");
	ck_assert_int_eq(t[0].addr.family, AF_INET);
	ck_assert_int_eq(t[2].addr.family, AF_UNIX);
	ck_assert_ptr_eq(t[1].conf, &targets[1]);
}
END_TEST

START_TEST(names)
{
	struct upstream_target *t;

	begin();
	target("localhost", 80, "");
	target("localhost", 81, "");
	target("no-such-name.invalid", 80, "");
	t = upstream_compile(&model, &arena, &diag);
	unit_str_eq(t[0].key, "127.0.0.1:80");
	unit_str_eq(t[1].key, "127.0.0.1:81");
	ck_assert_int_eq(t[2].addr.family, 0);
	unit_str_eq(t[2].key, "no-such-name.invalid:80");
	ck_assert_int_eq(diag.warnings, 1);
	ck_assert_int_eq(diag.errors, 0);
	model_says("22:10+4 warning 510 target \"no-such-name.invalid\": \"no-such-name.invalid\" does not resolve");
}
END_TEST

int
main(void)
{
	static const TTest *tests[2];
	size_t n = 0;

	tests[n++] = addresses_and_sockets;
	tests[n++] = names;
	return unit_run("resolve", tests, n);
}
