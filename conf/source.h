/* source — one file of the configuration: its text, its settings, their values.
 *
 * tree.c makes the nodes from the tokens of scan.c: names, brackets and places; it finds
 * all slips of a file at once. libconfig then parses the values (source.c, the one file
 * that knows it) and gives each node what it holds. */
#ifndef CONF_SOURCE_H
#define CONF_SOURCE_H

#include "conf/field.h"
#include "conf/scan.h"

struct source {
	struct source *next, *in_order;
	struct source *from;            /* who included it; NULL: the main file */
	const char *path;               /* to open it */
	const char *name; /* as shown: relative to the directory of the main file */
	struct str dir;                 /* that relative paths in it start from */
	struct scan scan;
	struct conf_node *root;
	uint64_t device, inode;         /* of the file, against loops */
	bool readable_by_all;
	bool ours;                      /* the text is a copy that may be written to */
	unsigned depth;                 /* of includes; 0: the main file */
	bool incomplete;                /* by its slips: sections of it may be missing */
	bool loose;                     /* its brackets do not add up */
};

/* A setting: 48 bytes, as there may be millions. Places are offsets in the text. */
struct conf_node {
	struct source *source;
	uint32_t name_at, name_len;     /* 0 long: in a list */
	uint32_t at, end;               /* of the value */
	uint32_t n;                     /* children */
	uint8_t kind;                   /* enum conf_node_kind */
	uint8_t bracket;                /* '{' '[' '('; 0: a scalar */
	bool apart; /* libconfig is given its children one by one, see source.c */
	bool dropped;                   /* a duplicate: nobody looks at it */
	bool damaged;                   /* by a slip in it, children may be missing */
	union {
		struct str text;        /* STRING: escapes replaced */
		long long number;       /* INT and BOOL */
		double real;
		const struct conf_node **child;
	};
};

enum {
	TREE_DEPTH = 32,
	TREE_NODES = 4000000, /* of all files */
	TREE_TOP = 200,       /* settings at the top level of a file */
	TREE_APART = 64,      /* groups above are given to libconfig in pieces */
};

/* The settings of a file. All that is wrong goes to the diag, and what is beyond doubt
 * stays in the tree, so that it is checked in the same run: a setting whose value has a
 * slip is BROKEN, a group that lost settings is damaged, and a section whose brackets do
 * not add up is BROKEN as a whole. `count` is of nodes so far. */
struct conf_node *
tree_read(struct source *, struct arena *, struct diag *, size_t *count);

/* Whether it is the name of a section of the language. */
bool is_section(struct str name);

/* Takes names that stand twice out of a group and says so. */
void drop_duplicates(struct conf_node *group, struct arena *, struct diag *);

/* Fills device, inode and mode. -1 and an error at `included` when it is not there. */
int source_identify(struct source *, struct where included, struct diag *);

/* Reads a file and parses it: fills `scan` and `root`. Strings are put in `strings`.
 * A file that cannot be read is an error at `included`: then `root` is NULL. -1 when
 * anything is wrong. */
int source_read(struct source *, struct where included, struct arena *,
		struct arena *strings, struct diag *, size_t *count);

/* The same for a text in memory. */
int source_parse(struct source *, struct str text, struct arena *, struct arena *strings,
		 struct diag *, size_t *count);

/* NULL when there is none. Linear. */
const struct conf_node *conf_member(const struct conf_node *group, const char *key);

/* The path that `name` in this file means; with a NUL. */
struct str source_path(const struct source *, struct arena *, struct str name);

#endif
