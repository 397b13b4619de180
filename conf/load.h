/* load — from files to a model.
 *
 * Reads the main file and what it includes, checks every option by its row and every
 * name, and fills a model. All that is wrong is collected in the diag; nothing is
 * printed. Reads files, nothing else: no network, no LMDB. */
#ifndef CONF_LOAD_H
#define CONF_LOAD_H

#include "conf/model.h"

/* `types` is NULL-terminated. The model and everything it points to lie in `image`; the
 * findings in diag's arena. NULL when there were errors. */
struct conf_model *conf_load(const char *path, struct arena *image,
			     const struct conf_type *const *types, struct diag *diag);

/* The same, and the model also when there were errors (diag->errors), so that who compiles
 * it finds what else is wrong: texts may be missing (`at` is NULL), routes have no
 * upstream, policies no type. Nothing can be served from it. NULL when there is no file. */
struct conf_model *conf_read(const char *path, struct arena *image,
			     const struct conf_type *const *types, struct diag *diag);

/* Where a gateway of this user runs whose configuration names no gateway.rundir. */
struct str conf_rundir(struct arena *);

/* The whole effective configuration, defaults included, in the same language; secrets are
 * masked. `types` as above. Returns -1 when it could not be loaded (see diag). */
int conf_dump(const char *path, const struct conf_type *const *types, struct diag *diag,
	      FILE *out);

#endif
