#include "worker/exchange/template.h"

#include "tests/unit/exchange/fake.h"

static struct arena image, said;
static struct diag diag;

static void
begin(void)
{
	fake_begin();
	arena_init(&image, NULL, 0, 1 << 20);
	arena_init(&said, NULL, 0, 1 << 20);
	diag_init(&diag, &said);
}

static void
end(void)
{
	fake_end();
	arena_reset(&image);
	arena_reset(&said);
}

static const struct template *
compile(const char *text)
{
	return template_compile(
		&image, &diag, str_of(text),
		(struct where){ "a.conf", 4, 10, (uint32_t)strlen(text) + 2 });
}

static void
gives(const char *text, const char *wanted)
{
	const struct template *t = compile(text);

	ck_assert_msg(t != NULL, "%s: %.*s", text,
		      diag.first ? (int)diag.first->text.len : 0,
		      diag.first ? diag.first->text.at : "");
	unit_str_eq(template_eval(t, x), wanted);
}

static void
refused(const char *text, int code, unsigned column, const char *words)
{
	diag_init(&diag, &said);
	ck_assert_msg(compile(text) == NULL, "%s was taken", text);
	ck_assert_int_eq(diag.first->code, code);
	ck_assert_uint_eq(diag.first->where.column, column);
	ck_assert_msg(memmem(diag.first->text.at, diag.first->text.len, words,
			     strlen(words)) != NULL,
		      "\"%.*s\" has no \"%s\"", STR_ARG(diag.first->text), words);
}

START_TEST(a_constant_costs_nothing)
{
	const struct template *t;
	char *before;

	begin();
	t = compile("plain text}");
	ck_assert(t->constant);
	before = x->arena.at;
	unit_str_eq(template_eval(t, x), "plain text}");
	ck_assert_ptr_eq(before, x->arena.at);
	gives("", "");
	gives("{{x}", "{x}");
	gives("a{{{{b{method}", "a{{bGET");
	end();
}
END_TEST

START_TEST(names_have_values)
{
	begin();
	fake_header("X-A", "1");
	fake_header("x-a", "2");
	fake_header("Cookie", "s=abc; t=d");
	x->status = 204;
	x->bytes_in = 12;
	x->request.query = STR("a=1%202&b");
	gives("{client.ip}", "192.0.2.7");
	gives("{peer.ip}:{client.port}", "10.0.0.1:0");
	gives("{method} {scheme}://{host}{path}?{query}",
	      "GET http://api.example.com/v1/orders/7?a=1%202&b");
	gives("{header.x-A}", "1, 2");
	gives("{header.host}", "API.example.com:8080");
	gives("{header.x-b}{consumer}{plan}{upstream}{upstream.target}{route}{service}{"
	      "policy}{reason}",
	      "");
	gives("{query.a}|{query.b}|{query.c}", "1 2||");
	gives("{cookie.t}", "d");
	gives("{request.id}", "0123456789abcdef0123456789abcdef");
	gives("{status} {bytes.in} {bytes.out} {listener}", "204 12 0 web");
	gives("{duration} {duration.ms} {duration.us}", "0.001500 1 1500");
	headers_add(&x->response.headers, &x->arena, STR("Server"), STR("s"));
	gives("{response.header.server}", "s");
	end();
}
END_TEST

START_TEST(captures_come_from_the_match)
{
	struct str names[] = { STR("id"), STR("*") };
	struct route route = { .ncaptures = 2, .capture = names };

	begin();
	x->match.route = &route;
	x->match.value[0] = STR("7");
	x->match.value[1] = STR("a/b");
	gives("/o/{id}/{*}", "/o/7/a/b");
	end();
}
END_TEST

START_TEST(slips_are_errors_at_their_place)
{
	begin();
	refused("/a/{id", 401, 14, "not closed");
	refused("x{", 401, 12, "not closed");
	refused("{client.ipp}", 402, 11, "did you mean \"{client.ip}\"?");
	refused("a{no.such.thing.here}", 402, 12,
		"no such name \"{no.such.thing.here}\"");
	refused("{header.}", 402, 11, "{header.NAME}");
	refused("{}", 402, 11, "no such name");
	refused("{claim.sub}", 404, 11, "not in this version of postern");
	refused("{tls.client.subjct}", 402, 11, "did you mean \"{tls.client.subject}\"?");
	end();
}
END_TEST

START_TEST(too_many_parts_are_refused)
{
	char text[70 * 8 + 1] = "";

	begin();
	for (int i = 0; i < 70; i++)
		strcat(text, "{method}");
	refused(text, 405, 10, "at most 64 parts");
	end();
}
END_TEST

START_TEST(captures_are_checked_where_they_are_used)
{
	struct str have[] = { STR("id"), STR("*") };
	struct where used = { "b.conf", 9, 3, 4 };
	const struct template *t;

	begin();
	t = compile("/{id}/{*}/{method}");
	ck_assert(template_has_captures(t));
	ck_assert(!template_has_captures(compile("{method}")));
	ck_assert_int_eq(template_check_captures(t, have, 2, &diag, used), 0);
	ck_assert_int_eq(template_check_captures(t, have, 1, &diag, used), -1);
	ck_assert_int_eq(diag.first->code, 403);
	ck_assert_uint_eq(diag.first->where.column, 17);
	ck_assert_int_eq(diag.first->next->level, DIAG_NOTE);
	ck_assert_uint_eq(diag.first->next->where.line, 9);
	diag_init(&diag, &said);
	ck_assert_int_eq(template_check_captures(compile("{idd}"), have, 2, &diag, used),
			 -1);
	unit_str_eq(diag.first->text,
		    "no capture gives \"{idd}\"; did you mean \"{id}\"?");
	diag_init(&diag, &said);
	ck_assert_int_eq(template_check_captures(compile("{pth}"), have, 2, &diag, used),
			 -1);
	unit_str_eq(diag.first->text,
		    "no capture gives \"{pth}\"; did you mean \"{path}\"?");
	end();
}
END_TEST

START_TEST(a_uri_is_not_left_by_a_value)
{
	begin();
	fake_header("x-a", "a b\r\nevil?x#y/z");
	x->request.query = STR("q=%0d%0aset-cookie:a&r=?");
	unit_str_eq(template_eval_uri(compile("/x/{header.x-a}"), x),
		    "/x/a%20b%0D%0Aevil%3Fx%23y%2Fz");
	unit_str_eq(template_eval_uri(compile("/x/{query.q}"), x),
		    "/x/%0D%0Aset-cookie%3Aa");
	unit_str_eq(template_eval_uri(compile("{path}?{query}"), x),
		    "/v1/orders/7?q=%0d%0aset-cookie:a&r=?");
	x->path = STR("/a\\b\"%2Fc");
	unit_str_eq(template_eval_uri(compile("{path}"), x), "/a%5Cb%22%2Fc");
	end();
}
END_TEST

START_TEST(a_location_keeps_its_host)
{
	begin();
	x->path = STR("//evil.example");
	unit_str_eq(template_eval_location(compile("{path}"), x), "/.//evil.example");
	unit_str_eq(template_eval_location(compile("https://a{path}"), x),
		    "https://a//evil.example");
	unit_str_eq(template_eval_location(compile("//b{path}"), x), "//b//evil.example");
	end();
}
END_TEST

START_TEST(pieces_say_what_they_are)
{
	const struct template *t;
	struct template_piece p;

	begin();
	t = compile("a{header.Cookie}{query.tok}{query}{status}");
	ck_assert_int_eq(template_piece(t, 0, x).kind, TEMPLATE_LITERAL);
	p = template_piece(t, 1, x);
	ck_assert_int_eq(p.kind, TEMPLATE_HEADER);
	unit_str_eq(p.name, "Cookie");
	p = template_piece(t, 2, x);
	ck_assert_int_eq(p.kind, TEMPLATE_QUERY_VALUE);
	unit_str_eq(p.name, "tok");
	ck_assert_int_eq(template_piece(t, 3, x).kind, TEMPLATE_QUERY);
	ck_assert_int_eq(template_piece(t, 4, x).kind, TEMPLATE_NUMBER);
	end();
}
END_TEST

int
main(void)
{
	const TTest *const tests[] = {
		a_constant_costs_nothing, names_have_values, captures_come_from_the_match,
		slips_are_errors_at_their_place, too_many_parts_are_refused,
		captures_are_checked_where_they_are_used, a_uri_is_not_left_by_a_value,
		a_location_keeps_its_host, pieces_say_what_they_are,
	};

	return unit_run("exchange/template", tests, sizeof tests / sizeof *tests);
}
