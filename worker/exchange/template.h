/* template — strings with {names} in them, compiled at load, filled for each exchange.
 *
 * Names: {client.ip} {client.port} {header.NAME} {query.NAME} {cookie.NAME} {path}
 * {query} {method} {host} {scheme} {CAPTURE} {consumer} {plan} {claim.NAME} {route}
 * {service} {listener} {request.id} {upstream.target} {status} {bytes.in} {bytes.out}
 * {duration} {reason} {time} … (the rows of template_names). "{{" is a brace. An unknown
 * name is an error at load, unless it may be a capture: then it is checked against each
 * route that uses it. */
#ifndef EXCHANGE_TEMPLATE_H
#define EXCHANGE_TEMPLATE_H

#include "conf/field.h"

struct exchange;

struct template_part;

struct template {
	const struct template_part *parts;
	uint32_t n;
	bool constant;                  /* one literal part: `text` says it all */
	struct str text;                /* as written */
	struct where where;
};

/* The whole template as text, in the exchange's arena (a constant costs nothing). Names
 * without a value are empty. */
struct str template_eval(const struct template *, struct exchange *);

/* The same for a place in a URI: whatever may not stand in one is percent-encoded, so
 * that no value can end the line or begin a query. For rewrites. */
struct str template_eval_uri(const struct template *, struct exchange *);

/* The same for Location: a value can not turn a path into another host ("//host"). */
struct str template_eval_location(const struct template *, struct exchange *);

/* The value of one part, for who writes them one by one; `kind` says what it is. */
enum template_kind {
	TEMPLATE_LITERAL,
	TEMPLATE_TEXT,
	TEMPLATE_NUMBER,
	TEMPLATE_HEADER,
	TEMPLATE_QUERY_VALUE,
	TEMPLATE_COOKIE,
	TEMPLATE_QUERY,
	TEMPLATE_CAPTURE
};
struct template_piece {
	struct str value;
	struct str name; /* of the header, query parameter, cookie or capture */
	uint8_t kind;                   /* enum template_kind */
};
struct template_piece
template_piece(const struct template *, uint32_t part, struct exchange *);

/* Of what kind it is, if it is one name alone; else TEMPLATE_LITERAL. */
enum template_kind template_kind(const struct template *);

/* For CONF_VIA rows: fills a `const struct template *`. */
conf_parse_fn template_parse;

/* For CONF_VIA rows: fills a struct template_pairs from a group of strings. */
conf_parse_fn template_pairs_parse;

struct template_pair {
	struct str key;
	uint8_t token;                  /* enum token of the key, as the name of a header */
	struct where key_where;
	const struct template *value;
};

struct template_pairs {
	struct template_pair *at;
	size_t n;
};

/* Without a load: the router's rewrite and redirect. NULL with errors in the diag. */
const struct template *
template_compile(struct arena *, struct diag *, struct str text, struct where);

/* Whether all its names are of who asks ({consumer}, {plan}, {key.id}), and there is one: nothing without a policy that
 * identifies. */
bool template_is_identity(const struct template *);

/* Whether it has names that only a match can give. */
bool template_has_captures(const struct template *);

/* Every name in it that is no built-in must be among these captures; says so and returns
 * -1. */
int template_check_captures(const struct template *, const struct str *captures, size_t n,
			    struct diag *, struct where used_at);

/* For generic checks of a filled struct: calls fn for each template that the rows name,
 * also inside groups. */
void template_each(const struct conf_field *rows, const void *self,
		   void (*fn)(const struct template *, void *arg), void *arg);

#endif
