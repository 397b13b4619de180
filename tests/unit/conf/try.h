/* try — a configuration from a text, with one type of policy that has an option of each
 * kind. */
#ifndef TESTS_UNIT_CONF_TRY_H
#define TESTS_UNIT_CONF_TRY_H

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "conf/load.h"
#include "tests/unit/unit.h"

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

static struct arena try_image, try_findings;
static struct diag try_diag;

static inline struct conf_model *
try_load(const char *text)
{
	char path[64];
	int fd = memfd_create("conf", MFD_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	arena_init(&try_image, NULL, 0, (size_t)1 << 30);
	arena_init(&try_findings, NULL, 0, (size_t)1 << 30);
	diag_init(&try_diag, &try_findings);

	struct conf_model *m = conf_load(path, &try_image, sample_types, &try_diag);

	close(fd);
	return m;
}

static inline void
try_free(void)
{
	arena_reset(&try_image);
	arena_reset(&try_findings);
}

#define TRY_LISTENERS "listeners: { web: { bind = [ \"127.0.0.1:1\" ]; }; };\n"
#define TRY_UPSTREAMS "upstreams: { o: { targets = [ \"http://10.0.0.1\" ]; }; };\n"
#define TRY_SERVICES                                                                     \
	"services: { s: { domains = [ \"*\" ]; routes = ( { match = \"* /*\"; to = "     \
	"\"o\"; } ); }; };\n"

/* A good configuration whose gateway uses a policy with these options. */
static inline const struct sample *
try_sample(const char *options)
{
	static char text[4096];

	snprintf(text, sizeof(text),
		 "gateway: { policies = ( { type = \"sample\"; %s } ); };\n" TRY_LISTENERS
			 TRY_UPSTREAMS TRY_SERVICES,
		 options);

	struct conf_model *m = try_load(text);

	return m ? m->gateway.policies[0].policy->self : NULL;
}

#endif
