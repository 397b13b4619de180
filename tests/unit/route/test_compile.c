#include "tests/unit/route/model.h"

/* One bad match and what is said of it. */
static void
bad(const char *match, const char *wanted)
{
	model_begin();
	model_service("s", "*");
	model_route(match);
	ck_assert_msg(!route_compile(&model, &arena, &diag), "accepted: %s", match);
	model_says(wanted);
	arena_reset(&arena);
	arena_reset(&said);
}

static void
good(const char *match)
{
	model_begin();
	model_service("s", "*");
	model_route(match);
	ck_assert_msg(route_compile(&model, &arena, &diag), "%s: %s", match,
		      model_said());
	ck_assert_msg(!diag.first, "%s: %s", match, model_said());
	arena_reset(&arena);
	arena_reset(&said);
}

/* The value stands at column 10, its first letter at 11. */
START_TEST(what_is_wrong_and_where)
{
	bad("", "error 301");
	bad("/a", "error 301 route \"1\": a match is \"METHODS PATH\", such as \"GET "
		  "/a\" or \"* /a/*\"; there is no method");
	bad("GET", "error 301");
	bad("GET ~ ", "error 301 route \"1\": there is no regex");
	bad("get /a", "10:11+3 error 302 route \"1\": methods are written in capitals: \"GET\"");
	bad("GET,G@T /a", "10:15+3 error 302 route \"1\": \"G@T\" is no method");
	bad("GET,* /a", "10:15+1 error 302 route \"1\": \"*\" is every method and stands alone");
	bad("GET,,PUT /a", "10:15+1 error 302");
	bad("ANY /a", "10:11+3 error 302 route \"1\": \"ANY\" is no method; every method is written \"*\"");
	bad("GET a", "10:15+1 error 303 route \"1\": a path begins with \"/\"");
	bad("GET https://x/a", "10:15+11 error 303 route \"1\": a path begins with \"/\"; the host belongs");
	bad("GET /a?b=1", "10:17+4 error 303 route \"1\": a path ends before \"?\"; conditions on the query");
	bad("GET /a#b", "10:17+2 error 303");
	bad("GET /a b", "10:17+1 error 303 route \"1\": a path has no blanks");
	bad("GET /a/%zz", "10:15+6 error 303 route \"1\": the path has a bad escape");
	bad("GET /a/../../b", "error 303");
	bad("GET /a/x{id}", "10:18+5 error 304 route \"1\": a capture is a whole segment");
	bad("GET /a/{id", "10:18+3 error 304");
	bad("GET /a/{id}{b}", "10:18+7 error 304");
	bad("GET /a/{id}*", "10:18+5 error 304");
	bad("GET /a/{}", "10:18+2 error 304 route \"1\": the capture has no name");
	bad("GET /a/{1d}", "10:19+2 error 304 route \"1\": a capture's name is letters");
	bad("GET /{a}/{b}/{a}", "10:25+1 error 305 route \"1\": the capture \"a\" is there twice");
	bad("GET /a*", "10:16+2 error 306");
	bad("GET /a/*/b", "10:18+1 error 306");
	bad("GET ~ ^/a(", "error 307 route \"1\": the regex does not compile");
	bad("GET /{a}/{b}/{c}/{d}/{e}/{f}/{g}/{h}/{i}/{j}/{k}/{l}/{m}/{n}/{o}/{p}/{q}", "error 314");
}
END_TEST

START_TEST(what_is_not_wrong)
{
	good("*  /a");
	good("GET\t/a/");
	good("PURGE /a*b");
	good("PROPFIND,MKCOL /a");
	good("GET /{a}/{b}/*");
	good("GET /a//b");
	good("GET ~ ^/a b$");
	good("GET /{a}/{b}/{c}/{d}/{e}/{f}/{g}/{h}/{i}/{j}/{k}/{l}/{m}/{n}/{o}/{p}");
}
END_TEST

START_TEST(regex_error_points_into_the_pattern)
{
	bad("GET ~ ^/a/[z-a]$", "10:24+1 error 307");
}
END_TEST

START_TEST(slip_in_a_method)
{
	model_begin();
	model_service("s", "*");
	model_route("PSOT /a");
	ck_assert(route_compile(&model, &arena, &diag));
	model_says("10:11+4 warning 312 route \"1\": \"PSOT\" is no method of HTTP; did you mean \"POST\"?");
}
END_TEST

START_TEST(condition_that_does_not_compile)
{
	model_begin();
	model_service("s", "*");
	model_pair(&model_route("GET /a")->when.headers, "x-a", "~ (");
	ck_assert(!route_compile(&model, &arena, &diag));
	model_says("error 307");
}
END_TEST

START_TEST(domain_claimed_twice)
{
	struct conf_service *s;

	model_begin();
	model_service("a", "x.test");
	s = model_service("b", "x.test");
	s->domains[0].where.line = 2;
	ck_assert(!route_compile(&model, &arena, &diag));
	ck_assert_int_eq(diag.errors, 1);       /* once, though there are two listeners */
	model_says("2:10+6 error 309 domain \"x.test\" belongs to service \"a\" already, on listener \"one\"\n"
		   "1:10+6 note 0 \"x.test\" is claimed here");
	model_begin();
	model_service("a", "*");
	model_service("b", "*");
	ck_assert(!route_compile(&model, &arena, &diag));
	model_begin();
	model_service("a", "*.x.test");
	s = model_service("b", "x.test");
	s->domains[s->ndomains++] =
		(struct conf_domain){ STR("*.x.test"), model_where(7, 8) };
	ck_assert(!route_compile(&model, &arena, &diag));
	model_says("7:10+8 error 309");
}
END_TEST

/* `n` routes in a service: which of them can never match? */
static void
never(const char *const *matches, size_t n, const char *wanted)
{
	char got[64] = "";

	model_begin();
	model_service("s", "*");
	for (size_t i = 0; i < n; i++)
		model_route(matches[i]);
	ck_assert_msg(route_compile(&model, &arena, &diag), "%s", model_said());
	for (struct diag_item *i = diag.first; i; i = i->next)
		if (i->code == 308)
			sprintf(got + strlen(got), "%u ", i->where.line - 9);
	ck_assert_msg(!strcmp(got, wanted), "%s…: got \"%s\", wanted \"%s\"", matches[0], got, wanted);
}

#define NEVER(wanted, ...)                                                               \
	never((const char *const[]){ __VA_ARGS__ },                                      \
	      sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(char *), wanted)

START_TEST(routes_that_never_match)
{
	NEVER("2 ", "GET /a", "GET /a");
	NEVER("2 ", "* /a", "GET /a");
	NEVER("", "GET /a", "* /a");
	NEVER("", "GET /a", "GET,PUT /a");
	NEVER("3 ", "GET /a", "PUT /a", "GET,PUT /a");
	NEVER("2 ", "GET /a", "HEAD /a");
	NEVER("2 3 4 ", "* /a/*", "GET /a/b", "GET /a/{x}/c", "GET ~ ^/a/b/(\\d)$");
	NEVER("", "* /a/*", "GET /a", "GET ~ ^/a", "GET ~ /a/", "GET ~ ^/a/?$");
	NEVER("2 ", "* /*", "GET ~ x");
	NEVER("2 ", "GET /{x}/b", "GET /a/b");
	NEVER("", "GET /a/b", "GET /{x}/b");
	NEVER("2 ", "GET /{x}/b", "GET /{y}/b");
	NEVER("", "GET /{x}", "GET /");
	NEVER("3 ", "GET /{x}/*", "GET /a", "GET /a/b");
	NEVER("", "PURGE /a", "LOCK /a");
	NEVER("2 ", "* /a", "LOCK /a");
	NEVER("", "GET ~ ^/a$", "GET /a");
	NEVER("2 ", "GET /a/*", "GET /a/*");
	NEVER("2 ", "GET /a/*", "GET /a/b/*");
	NEVER("", "GET /a/b/*", "GET /a/*");
}
END_TEST

START_TEST(a_condition_leaves_something)
{
	model_begin();
	model_service("s", "*");
	model_pair(&model_route("GET /a")->when.headers, "x", "1");
	model_pair(&model_route("GET /a")->when.headers, "x", "2");
	model_route("GET /a");
	model_pair(&model_route("GET /a")->when.headers, "x", "3");
	ck_assert(route_compile(&model, &arena, &diag));
	ck_assert_int_eq(diag.warnings, 1);
	model_says("13:10+8 warning 308 route \"4\" can never match: \"3\" before it takes all its requests\n"
		   "12:10+8 note 0 \"3\" is defined here");
}
END_TEST

int
main(void)
{
	static const TTest *tests[10];
	size_t n = 0;

	tests[n++] = what_is_wrong_and_where;
	tests[n++] = what_is_not_wrong;
	tests[n++] = regex_error_points_into_the_pattern;
	tests[n++] = slip_in_a_method;
	tests[n++] = condition_that_does_not_compile;
	tests[n++] = domain_claimed_twice;
	tests[n++] = routes_that_never_match;
	tests[n++] = a_condition_leaves_something;
	return unit_run("compile", tests, n);
}
