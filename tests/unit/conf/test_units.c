#include "conf/field.h"

#include "tests/unit/unit.h"

static const struct { const char *text; int64_t ms;
} durations[] = {
	{ "0s", 0 },
	{ "1ms", 1 },
	{ "250ms", 250 },
	{ "30s", 30000 },
	{ "5m", 300000 },
	{ "1h30m", 5400000 },
	{ "1d", 86400000 },
	{ "1h1m1s1ms", 3661001 },
	{ "", -1 },
	{ "30", -1 },
	{ "s", -1 },
	{ "30 s", -1 },
	{ " 30s", -1 },
	{ "30S", -1 },
	{ "1.5s", -1 },
	{ "-1s", -1 },
	{ "+1s", -1 },
	{ "1s1h", -1 },
	{ "1h1h", -1 },
	{ "1w", -1 },
	{ "1sec", -1 },
	{ "99999999999999999999s", -1 },
	{ "9223372036854775807d", -1 },
};

START_TEST(durations_have_units)
{
	for (size_t i = 0; i < sizeof(durations) / sizeof(*durations); i++) {
		uint64_t ms = 0;
		const char *error = "";
		int got = conf_duration(str_of(durations[i].text), &ms, &error);

		ck_assert_msg(got == (durations[i].ms < 0 ? -1 : 0), "%s",
			      durations[i].text);
		ck_assert_msg((error != NULL) == (got < 0), "%s", durations[i].text);
		if (got == 0)
			ck_assert_msg((int64_t)ms == durations[i].ms, "%s",
				      durations[i].text);
	}
}
END_TEST

static const struct { const char *text; int64_t bytes;
} sizes[] = {
	{ "0B", 0 },         { "512B", 512 },       { "64KiB", 65536 },
	{ "1MiB", 1 << 20 }, { "3GiB", 3ll << 30 }, { "1TiB", 1ll << 40 },
	{ "", -1 },          { "64", -1 },          { "64K", -1 },
	{ "64KB", -1 },      { "64kib", -1 },       { "1MiB1KiB", -1 },
	{ "1.5MiB", -1 },    { "-1B", -1 },         { "99999999TiB", -1 },
};

START_TEST(sizes_have_units)
{
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		uint64_t bytes = 0;
		const char *error = "";
		int got = conf_size(str_of(sizes[i].text), &bytes, &error);

		ck_assert_msg(got == (sizes[i].bytes < 0 ? -1 : 0), "%s", sizes[i].text);
		if (got == 0)
			ck_assert_msg((int64_t)bytes == sizes[i].bytes, "%s",
				      sizes[i].text);
	}
}
END_TEST

static const struct { const char *text; int hundredths;
} shares[] = {
	{ "0%", 0 },       { "20%", 2000 },  { "12.5%", 1250 }, { "0.05%", 5 },
	{ "100%", 10000 }, { "", -1 },       { "20", -1 },      { "101%", -1 },
	{ "100.01%", -1 }, { "1.234%", -1 }, { ".5%", -1 },     { "5.%", -1 },
	{ "-1%", -1 },     { "5%%", -1 },
};

START_TEST(shares_have_a_percent_sign)
{
	for (size_t i = 0; i < sizeof(shares) / sizeof(*shares); i++) {
		uint32_t h = 0;
		const char *error = "";
		int got = conf_share(str_of(shares[i].text), &h, &error);

		ck_assert_msg(got == (shares[i].hundredths < 0 ? -1 : 0), "%s",
			      shares[i].text);
		if (got == 0)
			ck_assert_msg((int)h == shares[i].hundredths, "%s",
				      shares[i].text);
	}
}
END_TEST

int
main(void)
{
	const TTest *const tests[] = { durations_have_units, sizes_have_units,
				       shares_have_a_percent_sign };

	return unit_run("units", tests, sizeof(tests) / sizeof(*tests));
}
