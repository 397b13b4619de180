/* field — an option is one row: key, kind, where it goes, default, range, help.
 *
 * The row checks the option, gives its default, and writes its documentation: the
 * manual page, `postern explain KEY`, did-you-mean and `postern -T` all read it.
 * A struct is filled by conf_fill() from a group and its rows. Policies embed their
 * rows in a struct conf_type, so that conf/ needs to know no policy. */
#ifndef CONF_FIELD_H
#define CONF_FIELD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/diag.h"
#include "base/str.h"

struct conf_node;                       /* a setting; conf/source.h */
struct conf_load;                       /* a load under way; conf/source.h */
struct conf_quota;                      /* conf/model.h */

enum conf_kind {
	CONF_KIND_END,
	CONF_KIND_BOOL,     /* bool */
	CONF_KIND_INT,      /* int64_t, min..max */
	CONF_KIND_SIZE,     /* uint64_t bytes, from "64KiB"; min..max */
	CONF_KIND_DURATION, /* uint64_t ms, from "1h30m"; min..max in ms */
	CONF_KIND_SHARE,    /* uint32_t hundredths of a percent, from "20%" */
	CONF_KIND_STR,      /* struct str, variables replaced, NUL after it */
	CONF_KIND_PATH,     /* struct str, a file, made absolute (rule 6) */
	CONF_KIND_FILE,     /* struct conf_file (conf/model.h): what is in a file */
	CONF_KIND_ENUM,     /* int: the index in `words` */
	CONF_KIND_STRS,     /* struct conf_strs, from a list or array of strings */
	CONF_KIND_PAIRS,    /* struct conf_pairs, from a group of strings */
	CONF_KIND_GROUP,    /* a struct in place, by the rows `sub` */
	CONF_KIND_VIA,      /* anything, by `parse` */
};

struct conf_strs {
	struct str *at;
	struct where *where;
	size_t n;
};

struct conf_pair {
	struct str key, value;
	struct where key_where, value_where;
};

struct conf_pairs {
	struct conf_pair *at;
	size_t n;
};

/* Parses a setting into `to`. `node` is NULL when it was left out and the row has a
 * default text (then `text` is that default). Says what is wrong by conf_error() and
 * returns -1. */
typedef int conf_parse_fn(struct conf_load *, const struct conf_node *node,
			  struct str text, struct where, void *to);

enum {
	CONF_F_REQUIRED = 1,
	CONF_F_SECRET =
		2,        /* "file:/path", "cred:NAME", "env:NAME": read, never printed */
	CONF_F_LATER = 4, /* of the language, but not in this version: refused */
	/* What a VIA row with `sub` looks like, for the manual and -T. */
	CONF_F_NAMED = 8,  /* a group of groups, each by `sub` */
	CONF_F_LIST = 16,  /* a list of groups by `sub` */
	CONF_F_TYPED = 32, /* policies: the rows of its `type` as well */
	CONF_F_NONE = 64,  /* PATH: "none" may be written, and is an empty one */
};

struct conf_field {
	const char *key;
	enum conf_kind kind;
	uint16_t flags;
	size_t offset;
	const char *def; /* as it would be written; NULL: zeroed when left out */
	int64_t min, max;
	const char *const *words;       /* ENUM: NULL-terminated */
	const struct conf_field *sub;   /* GROUP */
	conf_parse_fn *parse;           /* VIA */
	const char *help;               /* one sentence, no full stop */
};

#define CONF_ROW(s, m, k, ...)                                                           \
	{                                                                                \
		.key = #m, .kind = CONF_KIND_##k, .offset = offsetof(s, m), __VA_ARGS__  \
	}
#define CONF_BOOL(s, m, d, h)           CONF_ROW(s, m, BOOL, .def = (d), .help = (h))
#define CONF_INT(s, m, d, lo, hi, h)                                                     \
	CONF_ROW(s, m, INT, .def = (d), .min = (lo), .max = (hi), .help = (h))
#define CONF_SIZE(s, m, d, lo, hi, h)                                                    \
	CONF_ROW(s, m, SIZE, .def = (d), .min = (lo), .max = (hi), .help = (h))
#define CONF_DURATION(s, m, d, lo, hi, h)                                                \
	CONF_ROW(s, m, DURATION, .def = (d), .min = (lo), .max = (hi), .help = (h))
#define CONF_STR(s, m, d, h)            CONF_ROW(s, m, STR, .def = (d), .help = (h))
#define CONF_PATH(s, m, d, h)           CONF_ROW(s, m, PATH, .def = (d), .help = (h))
#define CONF_FILE(s, m, f, h)                                                            \
	CONF_ROW(s, m, FILE, .flags = (f), .help = (h))
#define CONF_ENUM(s, m, d, w, h)                                                         \
	CONF_ROW(s, m, ENUM, .def = (d), .words = (w), .help = (h))
#define CONF_STRS(s, m, h)              CONF_ROW(s, m, STRS, .help = (h))
#define CONF_PAIRS(s, m, h)             CONF_ROW(s, m, PAIRS, .help = (h))
#define CONF_GROUP(s, m, rows, h)       CONF_ROW(s, m, GROUP, .sub = (rows), .help = (h))
#define CONF_VIA(s, m, fn, d, h)                                                         \
	CONF_ROW(s, m, VIA, .parse = (fn), .def = (d), .help = (h))
#define CONF_END                        { .key = NULL, .kind = CONF_KIND_END }

/* What a policy counts of each consumer, for who shows and resets it: shm/quotas.h. */
struct conf_counted {
	const struct conf_quota *quota; /* `n` of them; NULL with `plan`: those of the consumer's plan */
	uint32_t n;
	bool plan;
	struct str zone;                /* of calendar windows, unless `plan` */
	const uint64_t *which;          /* by enum conf_window: for quotas_key() */
};

/* A type of policy as the configuration sees it. */
struct conf_type {
	const char *name;               /* "rate-limit" */
	const char *help;               /* one sentence */
	size_t size;                    /* of the struct that the rows fill */
	const struct conf_field *fields;
	/* After all rows were filled; may be NULL. Reports by conf_error(); -1: it is not
	 * usable. */
	int (*check)(struct conf_load *, void *self, struct where);
	/* false: it counts nothing by consumer. NULL: as well. */
	bool (*counted)(const void *self, struct conf_counted *);
};

/* The name of the policy that is being checked; empty for an inline one. */
struct str conf_policy_name(const struct conf_load *);

/* Where parsed things live: the image's arena. */
struct arena *conf_arena(struct conf_load *);
void conf_error(struct conf_load *, int code, struct where, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
void conf_warn(struct conf_load *, int code, struct where, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* Reading a setting by hand, for CONF_VIA. Kinds are those that the language knows. */
enum conf_node_kind { CONF_NODE_BOOL, CONF_NODE_INT, CONF_NODE_FLOAT, CONF_NODE_STRING,
		      CONF_NODE_GROUP, CONF_NODE_LIST,          /* arrays are lists */
		      CONF_NODE_BROKEN };       /* its slip was said: nothing is known of it */
enum conf_node_kind conf_kind_of(const struct conf_node *);
struct str conf_name_of(const struct conf_node *);              /* empty in a list */
struct where conf_where(const struct conf_node *);              /* of the value */
struct where conf_name_where(const struct conf_node *); /* of its name; not in a list */
/* A path that stands in this setting, made absolute (rule 6). */
struct str conf_path_of(const struct conf_node *, struct arena *, struct str path);
size_t conf_count(const struct conf_node *);                    /* of a group or list */
const struct conf_node *conf_child(const struct conf_node *, size_t i);
/* A string with ${env:} and ${var:} replaced, in the image's arena; any other kind is an
 * error said, -1. */
int conf_text(struct conf_load *, const struct conf_node *, struct str *);

/* Fills `to` from a group by rows: unknown keys, wrong types, ranges, missing keys are
 * errors. -1 when any. */
int conf_fill(struct conf_load *, const struct conf_node *group,
	      const struct conf_field *rows, void *to);

/* Units, usable alone. They return -1 and a sentence that shows the fix in *error. */
int conf_duration(struct str, uint64_t *ms, const char **error);
int conf_size(struct str, uint64_t *bytes, const char **error);
int conf_share(struct str, uint32_t *hundredths, const char **error);
/* "100/s", "60/min", "5000/h", "10000/day": count and period in ms. */
int conf_rate(struct str, uint64_t *count, uint64_t *period_ms, const char **error);

#endif
