/* sample — a type of policy that has an option of each kind; 13 is no good count. */
#ifndef TESTS_UNIT_CONF_SAMPLE_H
#define TESTS_UNIT_CONF_SAMPLE_H

#include "conf/field.h"

struct sample {
	bool yes;
	int64_t count;
	uint64_t size, time;
	uint32_t share;
	struct str text, path, secret;
	int word;
	struct conf_strs list;
	struct conf_pairs pairs;
	struct { bool inner; } group;
	int checked;
};

static const char *const sample_words[] = { "one", "two", NULL };

static const struct conf_field sample_group[] = {
	{ .key = "inner", .kind = CONF_KIND_BOOL, .def = "true", .help = "a boolean" },
	CONF_END
};

static const struct conf_field sample_fields[] = {
	CONF_BOOL(struct sample, yes, "true", "a boolean"),
	CONF_INT(struct sample, count, "7", 0, 100, "a number"),
	CONF_SIZE(struct sample, size, "1KiB", 1, 1 << 20, "a size"),
	CONF_DURATION(struct sample, time, "1s", 0, 60000, "a duration"),
	{ .key = "share",
	  .kind = CONF_KIND_SHARE,
	  .offset = offsetof(struct sample, share),
	  .def = "5%",
	  .help = "a share" },
	CONF_STR(struct sample, text, "x", "a text"),
	CONF_PATH(struct sample, path, NULL, "a path"),
	{ .key = "secret",
	  .kind = CONF_KIND_STR,
	  .flags = CONF_F_SECRET,
	  .offset = offsetof(struct sample, secret),
	  .help = "a secret" },
	CONF_ENUM(struct sample, word, "two", sample_words, "a word"),
	CONF_STRS(struct sample, list, "a list"),
	CONF_PAIRS(struct sample, pairs, "pairs"),
	CONF_GROUP(struct sample, group, sample_group, "a group"),
	CONF_END
};

static int
sample_check(struct conf_load *l, void *self, struct where w)
{
	struct sample *s = self;

	s->checked++;
	if (s->count != 13)
		return 0;
	conf_error(l, 207, w, "13 is no good count");
	return -1;
}

static const struct conf_type sample_type = { .name = "sample",
					      .help = "a sample",
					      .size = sizeof(struct sample),
					      .fields = sample_fields,
					      .check = sample_check };
static const struct conf_type *const sample_types[] = { &sample_type, NULL };

#endif
