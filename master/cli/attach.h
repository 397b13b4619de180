/* attach — finds the gateway that a verb of the command line is about: its run directory, its region.
 *
 * What goes wrong is said on stderr, in the name of the verb, with the next command. */
#ifndef CLI_ATTACH_H
#define CLI_ATTACH_H

#include <limits.h>

#include "shm/region.h"
#include "shm/shared.h"

/* Where a configuration says that its gateway is; empty: it does not. A file with errors is read as far as it goes; if
 * it was `asked` for, that is said. -1: nothing is known; `asked`: why was said. */
struct attach_places {
	char rundir[PATH_MAX], statedir[PATH_MAX];
	char socket[PATH_MAX];          /* of the admin plane */
};
int attach_places(const char *verb, const char *file, bool asked, struct attach_places *);

/* The run directory: `rundir` if it is not NULL, else that of the configuration `conf`, else (both NULL) that of the
 * usual configuration, if it can be read, or the usual directory. -1: not known, said. */
int attach_rundir(const char *verb, const char *conf, const char *rundir,
		  char buf[static PATH_MAX]);

/* The region in that directory, read-only; NULL: there is none, or another version's; said. */
const struct region *attach_region(const char *verb, const char *rundir);

/* The same without a word: NULL with errno set. */
const struct region *attach_quietly(const char *rundir);

/* What lies in it. -1: it is of another version; said. */
int attach_shared(const char *verb, const char *rundir, const struct region *, struct shared *);

/* Whether the file in that directory is (still) the one that is mapped: a gateway that starts after a damage or
 * another layout makes another. */
bool attach_same(const char *rundir, const struct region *);

#endif
