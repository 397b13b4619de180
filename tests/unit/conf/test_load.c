#include "tests/unit/conf/try.h"

START_TEST(the_smallest_file_is_enough)
{
	struct conf_model *m = try_load(TRY_LISTENERS TRY_UPSTREAMS TRY_SERVICES);

	ck_assert_ptr_nonnull(m);
	ck_assert_int_eq(m->gateway.workers, 0);
	ck_assert_uint_eq(m->gateway.limits.head, 32 << 10);
	ck_assert_uint_eq(m->gateway.limits.body, 0);
	ck_assert_uint_eq(m->gateway.timeouts.idle, 75000);
	ck_assert(m->gateway.merge_slashes);
	ck_assert_uint_eq(m->nlisteners, 1);
	unit_str_eq(m->listeners[0].binds[0].text, "127.0.0.1:1");
	unit_str_eq(m->upstreams[0].targets[0].host, "10.0.0.1");
	ck_assert_uint_eq(m->upstreams[0].targets[0].port, 80);
	ck_assert_int_eq(m->upstreams[0].targets[0].weight, 1);
	ck_assert_uint_eq(m->upstreams[0].retry.on, CONF_RETRY_CONNECT);
	ck_assert(m->upstreams[0].used);
	ck_assert_uint_eq(m->services[0].non, 1);
	unit_str_eq(m->services[0].routes[0].name, "1");
	ck_assert_int_eq(m->services[0].routes[0].action, CONF_TO);
	ck_assert_ptr_eq(m->services[0].routes[0].to[0].upstream, &m->upstreams[0]);
	ck_assert_uint_eq(m->services[0].routes[0].match_where.line, 3);
	ck_assert_uint_eq(m->services[0].routes[0].match_where.column, 58);
	try_free();
}
END_TEST

START_TEST(targets_are_taken_apart)
{
	struct conf_model *m =
		try_load(TRY_LISTENERS
			 "upstreams: { o: { targets = ( \"http://a.example:81/\", "
			 "\"http://[::1]:82\", \"unix:/run/x\","
			 " { url = \"http://b\"; weight = 0; } ); }; p = \"http://c\"; q "
			 "= [ \"http://d\", \"http://e\" ]; };\n" TRY_SERVICES);

	ck_assert_ptr_nonnull(m);

	const struct conf_target *t = m->upstreams[0].targets;

	unit_str_eq(t[0].host, "a.example");
	ck_assert_uint_eq(t[0].port, 81);
	unit_str_eq(t[1].host, "::1");
	ck_assert_uint_eq(t[1].port, 82);
	unit_str_eq(t[2].path, "/run/x");
	ck_assert_uint_eq(t[2].host.len, 0);
	ck_assert_int_eq(t[3].weight, 0);
	ck_assert_uint_eq(m->upstreams[2].ntargets, 2);
	ck_assert_uint_eq(m->upstreams[2].targets[1].id, 6);
	ck_assert_uint_eq(m->ntargets, 7);
	/* p and q are used by no route. */
	ck_assert_int_eq(try_diag.warnings, 2);
	try_free();
}
END_TEST

START_TEST(a_comment_at_the_end_needs_no_newline)
{
	ck_assert_ptr_nonnull(try_load(TRY_LISTENERS TRY_UPSTREAMS TRY_SERVICES "# end"));
	ck_assert_int_eq(try_diag.warnings, 0);
	try_free();
}
END_TEST

START_TEST(policies_are_used_by_name_and_inline)
{
	struct conf_model *m =
		try_load(TRY_LISTENERS TRY_UPSTREAMS
			 "policies: { a: { type = \"sample\"; count = 1; }; };\n"
			 "services: { s: { domains = [ \"A.Example\" ]; policies = ( "
			 "\"a\", { type = \"sample\"; count = 2; } );\n"
			 "  routes = ( { match = \"* /*\"; to = \"o\"; without = [ \"a\" "
			 "]; policies = [ \"a\" ]; } ); }; };\n");

	ck_assert_ptr_nonnull(m);
	unit_str_eq(m->services[0].domains[0].name, "a.example");
	ck_assert_uint_eq(m->npolicies, 2);
	ck_assert_uint_eq(m->services[0].npolicies, 2);
	ck_assert_ptr_eq(m->services[0].policies[0].policy, m->policies[0]);
	ck_assert_int_eq(
		((const struct sample *)m->services[0].policies[1].policy->self)->count,
		2);
	ck_assert_ptr_eq(m->services[0].routes[0].policies[0].policy, m->policies[0]);
	unit_str_eq(m->services[0].routes[0].without.at[0], "a");
	try_free();
}
END_TEST

/* Groups are quadratic inside libconfig: it never sees one of thousands. */
START_TEST(many_names_and_routes_take_no_time)
{
	enum { MANY = 20000 };
	char *text = malloc(MANY * 160), *p = text;

	p += sprintf(p, TRY_LISTENERS "upstreams: {\n");
	for (int i = 0; i < MANY; i++)
		p += sprintf(p, "u%d: { targets = [ \"http://10.0.0.1:%d\" ]; };\n", i,
			     i + 1);
	p += sprintf(p, "};\nservices: { s: { domains = [ \"*\" ]; routes = (\n");
	for (int i = 0; i < MANY; i++)
		p += sprintf(p, "%s{ match = \"GET /a/%d\"; to = \"u%d\"; }\n",
			     i ? "," : "", i, i);
	sprintf(p, "); }; };\n");

	struct conf_model *m = try_load(text);

	free(text);
	ck_assert_ptr_nonnull(m);
	ck_assert_uint_eq(m->nroutes, MANY);
	unit_str_eq(m->services[0].routes[MANY - 1].to[0].upstream->targets[0].url,
		    "http://10.0.0.1:20000");
	unit_str_eq(m->services[0].routes[7].match, "GET /a/7");
	ck_assert_uint_eq(m->services[0].routes[7].match_where.line, MANY + 4 + 8);
	try_free();
}
END_TEST

START_TEST(secrets_are_not_dumped)
{
	char path[64], *text = NULL;
	size_t size;
	int fd = memfd_create("conf", MFD_CLOEXEC);

	setenv("POSTERN_TEST", "hidden", 1);
	dprintf(fd, "gateway: { policies = ( { type = \"sample\"; secret = \"abc\"; }, { "
		    "type = \"sample\"; "
		    "secret = \"env:POSTERN_TEST\"; text = \"${env:POSTERN_TEST}\"; } ); "
		    "};\n" TRY_LISTENERS TRY_UPSTREAMS TRY_SERVICES);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	arena_init(&try_findings, NULL, 0, 1 << 24);
	diag_init(&try_diag, &try_findings);

	FILE *out = open_memstream(&text, &size);

	ck_assert_int_eq(conf_dump(path, sample_types, &try_diag, out), 0);
	fclose(out);
	ck_assert_ptr_null(strstr(text, "abc"));
	ck_assert_ptr_null(strstr(text, "hidden"));
	ck_assert_ptr_nonnull(strstr(text, "secret = \"***\""));
	ck_assert_ptr_nonnull(strstr(text, "secret = \"env:POSTERN_TEST\""));
	ck_assert_ptr_nonnull(strstr(text, "connect = \"3s\""));
	free(text);
	arena_reset(&try_findings);
	close(fd);
}
END_TEST

int
main(void)
{
	const TTest *const tests[] = {
		the_smallest_file_is_enough,
		targets_are_taken_apart,
		a_comment_at_the_end_needs_no_newline,
		policies_are_used_by_name_and_inline,
		many_names_and_routes_take_no_time,
		secrets_are_not_dumped,
	};

	return unit_run("load", tests, sizeof(tests) / sizeof(*tests));
}
