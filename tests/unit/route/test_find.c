#include "tests/unit/route/model.h"

#include "worker/route/match.h"

static struct route_match match;
static struct route_request request;
static struct headers headers;

static const struct router *
compiled(void)
{
	struct router *r = route_compile(&model, &arena, &diag);

	ck_assert_msg(r, "%s", model_said());
	return r;
}

static bool
find(const struct router *r, const char *method, const char *path)
{
	request.host = STR("a.test");
	request.method_text = str_of(method);
	request.method = (uint8_t)method_of(request.method_text);
	request.path = str_of(path);
	request.headers = &headers;
	request.arena = &said;
	return route_find(r, &request, &match, NULL);
}

/* `wanted`: name of the route, or "404", "405". */
static void
takes(const struct router *r, const char *method, const char *path, const char *wanted)
{
	char got[40];

	if (find(r, method, path))
		snprintf(got, sizeof got, "%.*s", STR_ARG(match.route->conf->name));
	else
		snprintf(got, sizeof got, "%d", fault_info[match.fault].status);
	ck_assert_msg(!strcmp(got, wanted), "%s %s: got %s, wanted %s", method, path, got, wanted);
}

static void
value_is(const char *name, const char *wanted)
{
	for (unsigned i = 0; i < match.route->ncaptures; i++)
		if (str_eq(match.route->capture[i], str_of(name))) {
			unit_str_eq(match.value[i], wanted);
			return;
		}
	ck_abort_msg("no capture %s", name);
}

static void
begin(void)
{
	model_begin();
	model_service("s", "*");
	memset(&request, 0, sizeof request);
	memset(&headers, 0, sizeof headers);
}

START_TEST(four_forms)
{
	const struct router *r;

	begin();
	model_route("GET /a");
	model_route("GET /a/{id}");
	model_route("GET /a/{id}/b/{key}");
	model_route("GET /files/*");
	model_route("GET ~ ^/legacy/(?<n>\\d+)/(x|y)/(?<m>.*)$");
	model_route("GET /");
	r = compiled();
	takes(r, "GET", "/a", "1");
	takes(r, "GET", "/a/", "404");
	takes(r, "GET", "/a/7", "2");
	value_is("id", "7");
	takes(r, "GET", "/a/7/", "404");
	takes(r, "GET", "/a/7/b/%20x", "3");
	value_is("id", "7");
	value_is("key", "%20x");
	takes(r, "GET", "/a/7/b/", "404");
	takes(r, "GET", "/files", "404");
	takes(r, "GET", "/files/", "4");
	value_is("*", "");
	takes(r, "GET", "/files/a/b/", "4");
	value_is("*", "a/b/");
	takes(r, "GET", "/filesx", "404");
	takes(r, "GET", "/legacy/12/y/z/z", "5");
	value_is("n", "12");
	value_is("m", "z/z");
	takes(r, "GET", "/legacy/x", "404");
	takes(r, "GET", "/", "6");
	takes(r, "GET", "*", "404");
	takes(r, "GET", "", "404");
	takes(r, "GET", "/a/7/b", "404");
	takes(r, "GET", "/b", "404");
}
END_TEST

/* Whatever the form, the one written first. */
START_TEST(first_match_wins)
{
	const struct router *r;

	begin();
	model_route("GET /a/{x}/c");
	model_route("GET /a/b/c");
	model_route("GET /a/b/*");
	model_route("GET ~ ^/a/b/d$");
	model_route("* /a/*");
	model_route("GET /a/b/e");
	model_route("* ~ .");
	model_route("* /z");
	r = compiled();
	takes(r, "GET", "/a/b/c", "1");
	takes(r, "GET", "/a/b/d", "3");
	takes(r, "GET", "/a/b/e", "3");
	takes(r, "POST", "/a/b/e", "5");
	takes(r, "GET", "/z", "7");
	model_says("11:10+12 warning 308 route \"2\" can never match: \"1\" before it");
	model_says("15:10+12 warning 308 route \"6\" can never match");

	begin();
	model_route("GET ~ ^/a/b/d$");
	model_route("GET /a/b/*");
	model_route("GET /a/{x}/c");
	r = compiled();
	takes(r, "GET", "/a/b/d", "1");
	takes(r, "GET", "/a/b/c", "2");
	takes(r, "GET", "/a/x/c", "3");
}
END_TEST

START_TEST(methods)
{
	const struct router *r;

	begin();
	model_route("GET,PUT /a");
	model_route("PURGE,LOCK /a");
	model_route("HEAD /b");
	model_route("GET /b");
	model_route("* /c");
	r = compiled();
	takes(r, "GET", "/a", "1");
	takes(r, "HEAD", "/a", "1");
	takes(r, "PUT", "/a", "1");
	takes(r, "PURGE", "/a", "2");
	takes(r, "purge", "/a", "405");
	takes(r, "POST", "/a", "405");
	ck_assert_int_eq(match.fault, FAULT_BAD_METHOD_ROUTE);
	unit_str_eq(route_allow(&match, &arena), "GET, HEAD, PUT, PURGE, LOCK");
	takes(r, "HEAD", "/b", "3");
	takes(r, "GET", "/b", "4");
	takes(r, "FANCY", "/c", "5");
	takes(r, "POST", "/d", "404");
	ck_assert_int_eq(match.fault, FAULT_NO_ROUTE);
}
END_TEST

static void
header(const char *name, const char *value)
{
	headers_add(&headers, &arena, str_of(name), str_of(value));
}

START_TEST(conditions)
{
	const struct router *r;
	struct conf_route *c;
	struct addr client;

	begin();
	model_pair(&model_route("GET /h")->when.headers, "x-tenant", "acme");
	model_pair(&model_route("GET /h")->when.headers, "X-Any", "*");
	model_pair(&model_route("GET /h")->when.headers, "accept", "~ ^text/");
	model_pair(&model_route("GET /q")->when.query, "v", "2 3");
	model_pair(&model_route("GET /q")->when.query, "w", "*");
	model_pair(&model_route("GET /c")->when.cookies, "lang", "de");
	c = model_route("GET /ip");
	c->when.client.at = ARENA_NEWS(&arena, struct str, 2);
	c->when.client.where = ARENA_NEWS(&arena, struct where, 2);
	c->when.client.at[c->when.client.n++] = STR("10.0.0.0/8");
	c->when.client.at[c->when.client.n++] = STR("fd00::/8");
	model_pair(&model_route("PUT /h")->when.headers, "x-put", "1");
	r = compiled();

	takes(r, "GET", "/h", "404");
	takes(r, "POST", "/h", "404");
	header("x-tenant", "ACME");
	takes(r, "GET", "/h", "404");
	header("X-Tenant", "acme");
	takes(r, "GET", "/h", "1");
	takes(r, "POST", "/h", "405");
	unit_str_eq(route_allow(&match, &arena), "GET, HEAD");
	memset(&headers, 0, sizeof headers);
	header("x-any", "");
	takes(r, "GET", "/h", "2");
	memset(&headers, 0, sizeof headers);
	header("Accept", "image/png");
	takes(r, "GET", "/h", "404");
	header("Accept", "text/html");
	takes(r, "GET", "/h", "3");

	takes(r, "GET", "/q", "404");
	request.query = STR("v=2");
	takes(r, "GET", "/q", "404");
	request.query = STR("a&v=2+3");
	takes(r, "GET", "/q", "4");
	request.query = STR("w");
	takes(r, "GET", "/q", "5");

	takes(r, "GET", "/c", "404");
	header("Cookie", "xlang=de; lang=en");
	takes(r, "GET", "/c", "404");
	header("Cookie", "a=b;lang=de");
	takes(r, "GET", "/c", "6");

	takes(r, "GET", "/ip", "404");
	ck_assert(addr_parse(&client, STR("11.0.0.1")));
	request.client = &client;
	takes(r, "GET", "/ip", "404");
	ck_assert(addr_parse(&client, STR("10.0.0.1")));
	takes(r, "GET", "/ip", "7");
}
END_TEST

START_TEST(patterns_are_normalised)
{
	const struct router *r;

	begin();
	model_route("GET /%61/./b//c");
	model_route("GET /caf\xc3\xa9/{x}");
	model_route("GET /a%2fb");
	r = compiled();
	takes(r, "GET", "/a/b/c", "1");
	takes(r, "GET", "/caf%C3%A9/y", "2");
	value_is("x", "y");
	takes(r, "GET", "/a%2Fb", "3");
}
END_TEST

START_TEST(segments_of_any_length)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789";

	for (size_t n = 1; n < sizeof letters; n++) {
		char pattern[64], path[64];
		const struct router *r;

		snprintf(pattern, sizeof pattern, "GET /%.*s/x", (int)n, letters);
		begin();
		model_route(pattern);
		r = compiled();
		takes(r, "GET", pattern + 4, "1");
		for (size_t i = 0; i < n; i++) {
			strcpy(path, pattern + 4);
			path[1 + i] = '-';
			takes(r, "GET", path, "404");
		}
	}
}
END_TEST

START_TEST(domains)
{
	static const struct { const char *host, *service; } cases[] = {
		{ "a.example.com", "exact" }, { "b.example.com", "wild" }, { "x.y.example.com", "wild" },
		{ "x.deep.example.com", "deep" }, { "x.y.deep.example.com", "deep" },
		{ "deep.example.com", "wild" }, { "example.com", "any" }, { "a.example.com.", "exact" },
		{ "notexample.com", "any" }, { "", "any" }, { ".example.com", "any" },
		{ "127.0.0.1", "any" }, { "[::1]", "any" },
	};
	const struct router *r;

	model_begin();
	model_service("wild", "*.example.com");
	model_service("exact", "a.example.com");
	model_service("deep", "*.deep.example.com");
	model_service("any", "*");
	r = compiled();
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const struct service *s = route_service(r, 0, str_of(cases[i].host));

		ck_assert_msg(s, "%s", cases[i].host);
		unit_str_eq(s->conf->name, cases[i].service);
	}
}
END_TEST

START_TEST(listeners_are_apart)
{
	static const struct conf_listener *on[1];
	struct conf_service *s;
	const struct router *r;

	model_begin();
	s = model_service("only-two", "a.test");
	on[0] = &model.listeners[1];
	s->on = on;
	s->non = 1;
	r = compiled();
	ck_assert_ptr_null(route_service(r, 0, STR("a.test")));
	ck_assert_ptr_nonnull(route_service(r, 1, STR("a.test")));
	memset(&request, 0, sizeof request);
	takes(r, "GET", "/", "404");
	ck_assert_int_eq(match.fault, FAULT_NO_SERVICE);
	model_says("warning 313 listener \"one\" has no service");
}
END_TEST

/* ---- the trie against one route after the other */

static unsigned seed = 7;

static unsigned
dice(unsigned n)
{
	seed = seed * 1103515245 + 12345;
	return (seed >> 16) % n;
}

static void
random_path(char *to, bool pattern)
{
	unsigned depth = dice(4);
	static const char *const names[] = { "a", "b", "cc", "" };

	*to = 0;
	for (unsigned i = 0; i <= depth; i++) {
		unsigned kind = pattern ? dice(6) : 0;

		if (kind == 5 && i == depth)
			strcat(to, "/*");
		else if (kind == 4)
			sprintf(to + strlen(to), "/{x%u}", i);
		else
			sprintf(to + strlen(to), "/%s", names[dice(i == depth ? 4 : 3)]);
	}
}

static const struct route *
naive(const struct service *s, const struct route_request *q)
{
	for (uint32_t i = 0; i < s->nroutes; i++)
		if (match_path(&s->routes[i], NULL, q->path, NULL) &&
		    match_method(&s->routes[i], q->method, q->method_text))
			return &s->routes[i];
	return NULL;
}

START_TEST(agrees_with_the_order_written)
{
	static const char *const names[] = { "GET", "POST", "*", "GET,POST", "PURGE" };
	static const char *const regexes[] = { "^/a/", "b$", "^/a/b(/cc)?$", "^/(a|b)/cc", "^/cc/?$" };
	static char patterns[24][64];
	unsigned never = 0;

	for (int round = 0; round < 2000; round++) {
		unsigned n = 1 + dice(24);
		bool used[24] = { false };
		const struct router *r;

		begin();
		for (unsigned i = 0; i < n; i++) {
			char path[48];

			if (dice(8) == 0)
				sprintf(path, "~ %s", regexes[dice(5)]);
			else
				random_path(path, true);
			snprintf(patterns[i], sizeof patterns[i], "%s %s", names[dice(5)],
				 path);
			model_route(patterns[i]);
		}
		r = compiled();
		for (int i = 0; i < 60; i++) {
			const char *method = names[dice(2) + (dice(8) == 0) * 3];
			const struct route *wanted;
			char path[48];

			random_path(path, false);
			find(r, strcmp(method, "GET,POST") ? method : "PUT", path);
			wanted = naive(&r->services[0], &request);
			if (wanted)
				used[wanted->order] = true;
			ck_assert_msg(match.route == wanted, "%s %s: got %s, wanted %s", method, path,
				      match.route ? match.route->conf->match.at : "none",
				      wanted ? wanted->conf->match.at : "none");
		}
		/* What is said to be never reached is not. */
		for (struct diag_item *i = diag.first; i; i = i->next)
			if (i->code == 308) {
				never++;
				ck_assert_msg(!used[i->where.line - 10], "%.*s",
					      STR_ARG(i->text));
			}
		arena_reset(&arena);
		arena_reset(&said);
	}
	ck_assert_uint_gt(never, 1000);
}
END_TEST

static struct str traced[8];
static unsigned ntraced;

static void
tried(struct route_trace *t, const struct route *r, enum route_miss miss,
      struct str detail)
{
	static const char *const why[] = { "path", "method", "when" };

	(void)t;
	traced[ntraced++] = arena_printf(&arena, "%.*s %s %.*s", STR_ARG(r->conf->name),
					 why[miss], STR_ARG(detail));
}

START_TEST(trace_says_why)
{
	struct route_trace trace = { tried };
	const struct router *r;

	begin();
	model_route("GET /b");
	model_route("POST /a");
	model_pair(&model_route("GET /a")->when.headers, "x-a", "1");
	model_route("GET /a");
	model_route("GET /c");
	r = compiled();
	find(r, "GET", "/a");
	ntraced = 0;
	ck_assert(route_find(r, &request, &match, &trace));
	ck_assert_uint_eq(ntraced, 3);
	unit_str_eq(traced[0], "1 path ");
	unit_str_eq(traced[1], "2 method GET");
	unit_str_eq(traced[2], "3 when header x-a");
}
END_TEST

/* "2 method, 4 when": what the recorder gets. */
static void
missed(const struct router *r, const char *method, const char *path, const char *wanted)
{
	static const char *const why[] = { "path", "method", "when" };
	struct str got = STR("");

	match.nmisses = 7;
	find(r, method, path);
	for (unsigned i = 0; i < match.nmisses; i++)
		got = arena_printf(&said, "%.*s%s%.*s %s", STR_ARG(got), i ? ", " : "",
				   STR_ARG(match.miss[i].route->conf->name),
				   why[match.miss[i].why]);
	ck_assert_msg(str_eq(got, str_of(wanted)), "%s %s missed \"%.*s\", wanted \"%s\"",
		      method, path, STR_ARG(got), wanted);
}

START_TEST(misses_before_the_one_found)
{
	const struct router *r;

	begin();
	model_route("GET /b");
	model_route("POST /a");
	model_pair(&model_route("GET /a")->when.headers, "x-a", "1");
	model_route("PUT ~ ^/(a|x)$");
	model_route("PUT ~ ^/(b|y)$");
	model_route("GET /a");
	model_route("PATCH /a");
	model_route("GET /{any}/c");
	model_route("DELETE /a/c");
	r = compiled();
	missed(r, "GET", "/a", "2 method, 3 when, 4 method");
	/* What stands behind it was not looked at, whatever order the trie went. */
	missed(r, "POST", "/a", "");
	missed(r, "DELETE", "/a/c", "8 method");
	missed(r, "GET", "/a/c", "");
	missed(r, "GET", "/z", "");
	/* None takes it: all whose path fits. */
	missed(r, "DELETE", "/b", "1 method, 5 method");
	missed(r, "GET", "/x", "4 method");
	request.host = STR("nowhere");
	missed(r, "GET", "/none", "");
}
END_TEST

START_TEST(misses_have_room_for_four)
{
	const struct router *r;

	begin();
	for (int i = 0; i < 9; i++)
		model_pair(&model_route("GET /a")->when.headers, "x-a", "1");
	model_route("GET /a");
	r = compiled();
	missed(r, "GET", "/a", "1 when, 2 when, 3 when, 4 when");
}
END_TEST

int
main(void)
{
	static const TTest *tests[16];
	size_t n = 0;

	tests[n++] = four_forms;
	tests[n++] = first_match_wins;
	tests[n++] = methods;
	tests[n++] = conditions;
	tests[n++] = patterns_are_normalised;
	tests[n++] = segments_of_any_length;
	tests[n++] = domains;
	tests[n++] = listeners_are_apart;
	tests[n++] = agrees_with_the_order_written;
	tests[n++] = trace_says_why;
	tests[n++] = misses_before_the_one_found;
	tests[n++] = misses_have_room_for_four;
	return unit_run("find", tests, n);
}
