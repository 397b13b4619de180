/* names — the {names} that templates may use: one row each. */
#ifndef EXCHANGE_NAMES_H
#define EXCHANGE_NAMES_H

#include "worker/exchange/exchange.h"
#include "worker/exchange/template.h"

struct template_name {
	const char *name;               /* "path", or with what follows it: "header." */
	bool takes_name;                /* the rest is the name of a header, a cookie … */
	bool later;                     /* known, but not in this version */
	bool identity;                  /* empty before a policy that identifies */
	uint8_t kind;                   /* enum template_kind */
	/* `arg` is what followed the name, `token` that of a header. Lives as long as the
	 * exchange. */
	struct str (*get)(struct exchange *, struct str arg, enum token token);
	const char *help;               /* what it stands for, no full stop */
};

/* Ends with a row without a name. */
extern const struct template_name template_names[];

/* What every other simple name is: a capture of the match. */
extern const struct template_name template_capture;

/* Names of what took part, or empty: the upstream, its target of the last attempt, and
 * the policy that answered (its type where it has no name). */
struct str exchange_upstream_name(const struct exchange *);
struct str exchange_target_name(const struct exchange *);
struct str exchange_policy_name(const struct exchange *);
/* Of HTTP, as the client speaks it: "1.0", "1.1" or "2". */
struct str exchange_version(const struct exchange *);
/* Of the configuration that it was begun with. */
uint64_t exchange_generation(const struct exchange *);

#endif
