/* describe — what the option rows say, as a manual page, or for one key or code. */
#ifndef CONF_DESCRIBE_H
#define CONF_DESCRIBE_H

#include "conf/field.h"

/* The body of postern.conf(5), in mdoc/man roff; `more` writes sections of its own. */
void conf_describe_manual(const struct conf_type *const *types, void (*more)(FILE *),
			  FILE *out);

/* `key` such as "upstreams.NAME.timeout.connect", "services.routes.to", a policy type, or
 * a code such as "E204". -1 when there is none (a suggestion is printed to `out`). */
int conf_describe(const char *key, const struct conf_type *const *types, FILE *out);

#endif
