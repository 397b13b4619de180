/* Records as people see them. */
#include "tests/unit/unit.h"

#include "master/cli/record_text.h"
#include "worker/exchange/policy.h"

static struct {
	struct record record;
	struct record_note note[2];
} it;
static struct record_view view;

static struct str
name_of(const struct record_view *v, uint32_t series)
{
	static const char *const names[] = { "",
					     "web",
					     "orders-api",
					     "orders-api/create",
					     "postern.conf",
					     "rate-limit/by-plan",
					     "gone-type/old",
					     "orders/10.0.1.11:8080" };

	(void)v;
	return series < 8 ? str_of(names[series]) : STR_NONE;
}

static void
begin(void)
{
	memset(&it, 0, sizeof(it));
	it.record = (struct record){ .status = 502,
				     .fault = FAULT_CONNECT_REFUSED,
				     .id = { 1, 0xff },
				     .at = 1764000000123,
				     .generation = 3,
				     .listener = 1,
				     .service = 2,
				     .route = 3,
				     .file = 4,
				     .line = 41,
				     .order = 9,
				     .us_total = 1234,
				     .attempts = 1,
				     .notes = 2,
				     .misses = 1 };
	it.record.attempt[0].target = 7;
	it.record.attempt[0].fault = FAULT_CONNECT_REFUSED;
	it.record.attempt[0].error = 111;
	it.record.attempt[0].us = 77;
	it.record.miss[0] =
		(struct record_miss){ .route = 3, .line = 40, .why = ROUTE_MISS_METHOD };
	it.note[0] = (struct record_note){
		.policy = 6, .line = 7, .file = 4, .decision = DECISION_WAITED, .us = 1500
	};
	it.note[1] = (struct record_note){
		.policy = 99, .line = 8, .file = 99, .decision = 77
	};
	view = (struct record_view){ .record = &it.record,
				     .notes = it.note,
				     .name = name_of };
	view.texts = (struct record_texts){ .method = STR("GET"),
					    .host = STR("a.test"),
					    .path = STR("/x"),
					    .client = STR("192.0.2.7") };
}

static const char *
said(void (*print)(const struct record_view *, FILE *))
{
	static char text[20000];
	FILE *f;

	memset(text, 0, sizeof(text));
	f = fmemopen(text, sizeof(text), "w");
	print(&view, f);
	fclose(f);
	return text;
}

static void
says(const char *text, const char *words)
{
	ck_assert_msg(strstr(text, words), "\"%s\" is not in\n%s", words, text);
}

START_TEST(a_line)
{
	begin();
	ck_assert_str_eq(said(record_line),
			 "2025-11-24T16:00:00.123Z 192.0.2.7 GET a.test/x 502 "
			 "connect_refused 1.2ms orders-api/create "
			 "-> orders/10.0.1.11:8080 000000000000000100000000000000ff\n");
}
END_TEST

START_TEST(a_story)
{
	const char *s;

	begin();
	s = said(record_story);
	says(s, "result    502 connect_refused: the target refused the connection\n");
	says(s, "          postern.conf:41, generation 3\n");
	says(s, "  8 of other paths\n");
	says(s, "no: it does not take GET  postern.conf:40\n");
	says(s, "connect_refused: the target refused the connection (Connection refused) "
		"after 77 us\n");
	/* A type that this version does not have, a name and a decision that nobody
	 * knows. */
	says(s, "  gone-type/old                waited    held back 1.5ms  "
		"postern.conf:7\n");
	says(s, "  ?                            ?          line 8\n");
}
END_TEST

START_TEST(nothing_is_known)
{
	const char *s;

	begin();
	memset(&it, 0, sizeof(it));
	view.texts = (struct record_texts){ 0 };
	s = said(record_story);
	says(s, "(no method)");
	says(s, "result    no answer\n");
	says(s, "listener  ?\nservice   none\n");
	says(s, "policies  none was asked\nupstream  not asked\n");
	said(record_line);
	says(said(record_json), "\"http.response.status_code\":0");
}
END_TEST

/* What a client sends is text, whatever it does to terminals. */
START_TEST(control_characters)
{
	begin();
	view.texts.method = STR("G\033[31mT");
	view.texts.host = STR("a\r\nb");
	view.texts.path = STR("/\177\001");
	view.texts.consumer = STR("\007");
	view.texts.id = STR("\033");
	for (int i = 0; i < 3; i++) {
		void (*const print[])(const struct record_view *,
				      FILE *) = { record_line, record_story,
						  record_json };

		for (const char *p = said(print[i]); *p; p++)
			ck_assert_msg(*p == '\n' ||
					      (*p >= 0x20 && (i == 2 || *p != 0x7f)),
				      "byte %d in %d", *p, i);
	}
	says(said(record_line), "G\\x1b[31mT a\\x0d\\x0ab/\\x7f\\x01 ");
}
END_TEST

int
main(void)
{
	const TTest *const tests[] = { a_line, a_story, nothing_is_known,
				       control_characters };

	return unit_run("master/cli/record_text", tests, sizeof(tests) / sizeof(*tests));
}
