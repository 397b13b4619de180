/* reader — what the files of conf/ share while a configuration is read.
 *
 * field.c fills structs by rows, vars.c replaces ${…}, units.c knows "30s", suggest.c
 * finds what was meant, named.c reads sections of named groups; gateway.c, listeners.c,
 * tls.c, upstreams.c, credential.c, policies.c, services.c, routes.c, tests.c, plans.c,
 * consumers.c and admin.c have the rows of the language and what rows cannot say; names.c looks at the
 * whole. Only conf/ includes this. */
#ifndef CONF_READER_H
#define CONF_READER_H

#include "base/map.h"
#include "conf/load.h"
#include "conf/source.h"

/* consumers.c: the consumers and keys of all files, while they are read; they themselves lie
 * in the model. */
struct roll_place {                     /* where a key stands: in the file of keys … */
	uint32_t line, column;          /* … or, column 0, that one of `given` */
};
struct roll {
	struct where *given;
	uint32_t ngiven, twice;
	struct roll_place *places;      /* as the table of keys */
	const char *file;               /* of keys, as shown */
};

struct conf_load {
	struct arena *image;            /* what the model points to */
	struct arena scratch;           /* nodes and tables; gone after the load */
	struct diag *diag;
	const struct conf_type *const *types;
	struct conf_model *model;
	struct source *main;            /* then by in_order */
	struct source *sources;         /* newest first */
	struct source **last_in_order;
	unsigned nfiles;
	struct str top;                 /* directory of the main file */
	size_t count;                   /* nodes */
	struct conf_node *root;         /* of all files, merged */
	bool incomplete;                /* by slips: sections may be missing */
	const struct conf_field *row;   /* the option that is read; NULL */
	/* What is read, for messages: route "create". */
	const char *kind;               /* NULL: no need to say */
	struct str name;
	struct map vars;                /* name → struct str */
	struct map listeners, upstreams, policies;      /* name → struct of the model */
	struct token_use *tokens;       /* upstreams that are asked for tokens: credential.c */
	struct map files;               /* path → struct str: what was read of it */
	struct roll roll;               /* consumers, see consumers.c */
	struct where consumers_file;    /* where gateway names it */
	struct str policy;              /* the one that is being checked */
};

/* The whole language: the top level. */
extern const struct conf_field conf_rows[];

/* load.c: conf_load() in parts, so that -T can look at the settings in between. */
void load_begin(struct conf_load *, struct arena *image,
		const struct conf_type *const *types, struct diag *);
int load_run(struct conf_load *, const char *path);
void load_end(struct conf_load *);

/* files.c: reads the main file and what it includes, merges them into l->root. */
int load_files(struct conf_load *, const char *path);

/* Whether every name of a section is known: a slip in a file may have swallowed some, and
 * then what is not found is no finding. */
bool section_whole(const struct conf_load *, const char *section);

/* What is read from now on; returns what it was, for reader_end(). */
struct reader_scope { const char *kind; struct str name; };
struct reader_scope reader_begin(struct conf_load *, const char *kind, struct str name);
void reader_end(struct conf_load *, struct reader_scope);

/* field.c */
int conf_fill_one(struct conf_load *, const struct conf_field *, const struct conf_node *,
		  void *to);
int conf_defaults(struct conf_load *, const struct conf_field *rows, void *to);
int wrong_type(struct conf_load *, const struct conf_node *, const char *key,
	       const char *right);

/* vars.c */
bool has_variables(struct str);
int replace_variables(struct conf_load *, const struct conf_node *, struct str text,
		      struct str *out);
conf_parse_fn vars_parse;

/* secret.c: "file:/path" and so on to what it says. */
int secret_read(struct conf_load *, const struct conf_node *, struct str text,
		struct str *out);
/* Whether it says where a secret is, and is none itself. */
bool secret_elsewhere(struct str);
/* A secret that stands in the file itself is not shown with a finding. */
void secret_hide(const struct conf_node *);
/* What is in the file that a setting of kind FILE names. */
int file_read(struct conf_load *, const struct conf_field *, const struct conf_node *,
	      struct conf_file *);

/* units.c: "1h30m", "64KiB"; 32 bytes suffice. */
void put_duration(char *to, uint64_t ms);
void put_size(char *to, uint64_t bytes);

/* suggest.c */
/* "1m" as a size is "1MiB", "30sec" as a duration "30s"; NULL when it is none of these. */
const char *unit_of_others(struct arena *, struct str, bool size);
/* Returns the row that was meant, as far as it lies in this group; NULL. */
const struct conf_field *unknown_key(struct conf_load *, const struct conf_node *group,
				     const struct conf_field *rows,
				     const struct conf_node *child);
/* " (one of …); did you mean "…"?" for words that an option does not take; in `arena`. */
const char *suggest_word(struct arena *, struct str, const char *const *words);
/* The name of `names` nearest to `s` as `; did you mean "…"?`, or "". Its value in
 * *value. */
const char *
suggest_name(struct arena *, struct str s, const struct map *names, void **value);
/* The path of a row for postern explain: "services.routes.to"; the type for options of
 * policies. NULL when it is none of the language. In `arena`. */
const char *suggest_path(struct arena *, const struct conf_type *const *types,
			 const struct conf_field *row);
/* Where `key` lives: "upstreams.NAME.timeout"; NULL when nowhere or in several places. */
const char *suggest_home(struct arena *, struct str key);

/* addresses.c: sentences, or NULL when well written. */
const char *bind_error(struct str);
const char *prefix_error(struct str);
int prefixes_check(struct conf_load *, const struct conf_strs *, const char *key);
int target_parse(struct conf_load *, struct conf_target *, struct str url, struct where);
bool is_address(struct str);            /* of IPv4 or IPv6 */
bool is_host(struct str);               /* a name, as DNS has them */
/* "api.example.com:443", "*.example.com:443" */
const char *authority_error(struct str);

/* tls.c: `tls` of listeners and upstreams. */
extern const struct conf_field tls_rows[], upstream_tls_rows[];
conf_parse_fn tls_parse, upstream_tls_parse;
void upstream_tls_check(struct conf_load *, const struct conf_node *,
			const struct conf_upstream *);

/* credential.c: `credential` and `pace` of upstreams. */
extern const struct conf_field credential_rows[], pace_rows[];
conf_parse_fn credential_parse, pace_parse;
void credential_check(struct conf_load *, const struct conf_upstream *);
/* Those that are asked for tokens become pointers, once all upstreams are known. */
int credentials_resolve(struct conf_load *);

/* named.c: a section that is a group of groups, { NAME: { … }; }. Its structs begin as
 * struct named does. */
struct named {
	struct str name;
	struct where where;
	uint32_t index;                 /* in the array */
};

#define NAMED_STRUCT(s)                                                                  \
	_Static_assert(offsetof(s, name) == offsetof(struct named, name) &&              \
			       offsetof(s, where) == offsetof(struct named, where) &&    \
			       offsetof(s, index) == offsetof(struct named, index),      \
		       "begins as struct named")

struct named_section {
	const char *section, *kind;     /* "listeners", "listener" */
	const char *shape;              /* how it is written, for wrong types */
	const char *none;               /* what an empty one means: an error; NULL: nothing */
	size_t size;                    /* of a struct */
	int (*one)(struct conf_load *, const struct conf_node *, void *to);
	struct map *names;              /* filled, unless NULL; in this arena */
	struct arena *names_in;
};

/* Makes the structs in the image: *array and *count; name, where and index are set. */
int named_parse(struct conf_load *, const struct conf_node *,
		const struct named_section *, void *array, size_t *count);

enum { NAME_BYTES = 63, ROLL_ERRORS = 50 };
/* A name of a consumer or plan: 1 to 63 bytes of [A-Za-z0-9._@-]. NULL, or a sentence. */
const char *name_error(struct str);

/* consumers_file.c: reads gateway.consumers_file into the roll. */
void consumers_file_read(struct conf_load *, struct str path);
/* The same with its text in memory. */
void consumers_file_parse(struct conf_load *, const char *shown, struct str text);

/* consumers.c. Room for that many more. */
void roll_reserve(struct conf_load *, size_t consumers, size_t keys);
/* A key of his; one that is another's is an error. */
void roll_key(struct conf_load *, const struct conf_consumer *, const struct digest *,
	      struct roll_place);
/* The consumer of that name, or a new one. */
struct conf_consumer *roll_consumer(struct conf_load *, struct str name, struct where,
				    bool *made);
/* 0, or -1 with an error at `w` when it has another plan already. */
int roll_plan(struct conf_load *, struct conf_consumer *, struct str plan, struct where w);
/* "sha256:<64 hex digits>". NULL, or a sentence. */
const char *key_error(struct str, struct digest *);
/* files.c: as findings name a file. In the image. */
const char *shown_name(struct conf_load *, struct str path);

/* admin.c: what depends on gateway. */
void admin_finish(struct conf_load *);

/* The sections; rows and parsers. */
extern const struct conf_field gateway_rows[], listener_rows[], upstream_rows[],
	policy_rows[], service_rows[], route_rows[], test_rows[], plan_rows[],
	consumer_rows[], admin_rows[], history_rows[];
conf_parse_fn gateway_parse, listeners_parse, upstreams_parse, policies_parse,
	services_parse, routes_parse, tests_parse, plans_parse, consumers_parse,
	admin_parse;
conf_parse_fn uses_parse; /* struct uses: a list of policies, by name or inline */

struct uses {
	struct conf_use *at;
	size_t n;
};


/* The type that this version has; NULL. */
const struct conf_type *
type_find(const struct conf_type *const *types, struct str name, uint32_t *index);

/* names.c: what only the whole can tell. */
void names_check(struct conf_load *);

/* Iterates over the groups of a named section. */
#define for_each_child(it, node)                                                         \
	for (uint32_t it##_i = 0;                                                        \
	     it##_i < (node)->n && ((it) = (node)->child[it##_i], true); it##_i++)

#endif
