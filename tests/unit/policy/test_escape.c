#include "worker/policy/lib/escape.h"
#include "worker/policy/lib/line.h"

#include "tests/unit/unit.h"

typedef char *escape_fn(char *, char *, struct str);

static void
gives(escape_fn *fn, struct str s, const char *wanted)
{
	size_t len = strlen(wanted);
	char *buf = malloc(len + 40), *copy = malloc(s.len + 1), *end;

	/* From memory of its very size, so that a sanitizer sees a byte too far. */
	memcpy(copy, s.at, s.len);
	s.at = copy;
	end = fn(buf, buf + len + 40, s);
	ck_assert_ptr_nonnull(end);
	unit_str_eq((struct str){ buf, (size_t)(end - buf) }, wanted);
	/* Never beyond its end, wherever that is. */
	for (size_t room = 0; room <= len; room++) {
		char *tight = malloc(room + 1);

		tight[room] = '!';
		end = fn(tight, tight + room, s);
		ck_assert(!end || (size_t)(end - tight) <= room);
		ck_assert_int_eq(tight[room], '!');
		free(tight);
	}
	free(buf);
	free(copy);
}

START_TEST(plain_text_stays)
{
	gives(escape_json, STR(""), "");
	gives(escape_json, STR("Mozilla/5.0 (X11; Linux x86_64) '~'"),
	      "Mozilla/5.0 (X11; Linux x86_64) '~'");
	gives(escape_field, STR("Mozilla/5.0 (X11; Linux x86_64) '~'"),
	      "Mozilla/5.0 (X11; Linux x86_64) '~'");
}
END_TEST

START_TEST(json_is_not_broken)
{
	gives(escape_json, STR("a\"b\\c"), "a\\\"b\\\\c");
	gives(escape_json,
	      STR("a\r\n\t\0\x1f\x7f"
		  "b"),
	      "a\\u000d\\u000a\\u0009\\u0000\\u001f\\u007fb");
	gives(escape_json, STR("0123456\n89abcdef\"{}"), "0123456\\u000a89abcdef\\\"{}");
}
END_TEST

START_TEST(utf8_is_kept_or_replaced)
{
	gives(escape_json, STR("\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"),
	      "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80");
	/* Line separators and C1 controls end lines in some viewers. */
	gives(escape_json, STR("\xc2\x85\xe2\x80\xa8"), "\\u0085\\u2028");
	/* Overlong, surrogate, beyond the end, cut, stray. */
	gives(escape_json, STR("\xc0\xaf"), "\xef\xbf\xbd\xef\xbf\xbd");
	gives(escape_json, STR("\xed\xa0\x80"), "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
	gives(escape_json, STR("\xf4\x90\x80\x80"),
	      "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
	gives(escape_json, STR("a\xe2\x82"), "a\xef\xbf\xbd\xef\xbf\xbd");
	gives(escape_json, STR("\x80z"), "\xef\xbf\xbdz");
}
END_TEST

START_TEST(fields_are_not_left)
{
	gives(escape_field, STR("a\"b\\c\r\n\xc3\xa4"),
	      "a\\x22b\\x5cc\\x0d\\x0a\\xc3\\xa4");
}
END_TEST

/* Every byte at every place of a word of eight: the fast way must see it. */
START_TEST(no_byte_slips_through)
{
	for (unsigned c = 0; c < 256; c++)
		for (unsigned at = 0; at < 16; at++) {
			char in[16], out[200], *end;

			memset(in, 'x', sizeof in);
			in[at] = (char)c;
			end = escape_field(out, out + sizeof out,
					   (struct str){ in, sizeof in });
			for (char *p = out; p < end; p++)
				ck_assert(*p >= 0x20 && *p < 0x7f && *p != '"');
			ck_assert_int_eq(
				end - out,
				c < 0x20 || c >= 0x7f || c == '"' || c == '\\' ? 19 : 16);
		}
}
END_TEST

static void
same_as_byte_by_byte(struct str s)
{
	char slow[200], fast[200], *to = slow, *end;

	for (size_t i = 0; i < s.len; i++)
		to = escape_field(to, slow + sizeof slow, (struct str){ s.at + i, 1 });
	end = escape_field(fast, fast + sizeof fast, s);
	ck_assert_int_eq(end - fast, to - slow);
	ck_assert_mem_eq(fast, slow, (size_t)(end - fast));
	ck_assert_ptr_eq(escape_field(fast, fast + (to - slow), s), end);
	ck_assert_ptr_null(escape_field(fast, fast + (to - slow) - 1, s));
}

/* However long a value is, and however little room there is. */
START_TEST(values_of_any_length)
{
	static const unsigned char odd[] = { 'y', '"', '\\', 1, 0x1f, 0x7f, 0x80, 0xff };
	char in[20];

	for (size_t len = 0; len <= sizeof in; len++)
		for (size_t at = 0; at < len; at++)
			for (size_t o = 0; o < sizeof odd; o++) {
				memset(in, 'x', sizeof in);
				in[at] = (char)odd[o];
				same_as_byte_by_byte((struct str){ in, len });
				ck_assert_int_eq(line_is_value((struct str){ in, len }),
						 odd[o] >= 0x20 && odd[o] != 0x7f);
			}
}
END_TEST

int
main(void)
{
	const TTest *const tests[] = {
		plain_text_stays,    json_is_not_broken,    utf8_is_kept_or_replaced,
		fields_are_not_left, no_byte_slips_through, values_of_any_length,
	};

	return unit_run("policy/escape", tests, sizeof tests / sizeof *tests);
}
