#include "master/cli/attach.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf/load.h"
#include "worker/worker.h"

enum { CONF_ROOM = 1 << 30 };

/* The rundir that a configuration names, into `buf`. A file with errors is no reason to
 * show nothing if nobody asked for that file: the gateway may run by an older one. */
static int
rundir_of(const char *verb, const char *file, bool asked, char buf[static PATH_MAX])
{
	struct arena image, notes;
	const struct conf_model *m;
	struct diag d;
	int rc = -1;

	arena_init(&image, NULL, 0, CONF_ROOM);
	arena_init(&notes, NULL, 0, CONF_ROOM);
	diag_init(&d, &notes);
	m = conf_load(file, &image, worker_types(), &d);
	if (m && m->gateway.rundir.len && m->gateway.rundir.len < PATH_MAX) {
		snprintf(buf, PATH_MAX, "%.*s", STR_ARG(m->gateway.rundir));
		rc = 0;
	} else if (asked) {
		diag_print(&d, stderr);
		fprintf(stderr, "postern %s: the run directory is not known.\n"
			"Next: postern check -c %s, or postern %s --rundir DIR\n", verb, file, verb);
	}
	arena_reset(&notes);
	arena_reset(&image);
	return rc;
}

static void
usual_rundir(char buf[static PATH_MAX])
{
	struct arena notes;

	arena_init(&notes, NULL, 0, CONF_ROOM);
	snprintf(buf, PATH_MAX, "%.*s", STR_ARG(conf_rundir(&notes)));
	arena_reset(&notes);
}

int
attach_rundir(const char *verb, const char *conf, const char *rundir,
	      char buf[static PATH_MAX])
{
	const char *usual = POSTERN_SYSCONFDIR "/postern.conf";

	if (rundir) {
		snprintf(buf, PATH_MAX, "%s", rundir);
		return 0;
	}
	usual_rundir(buf);
	if (conf)
		return rundir_of(verb, conf, true, buf);
	if (access(usual, R_OK) == 0)
		rundir_of(verb, usual, false, buf);
	return 0;
}

static void
region_path(const char *rundir, char path[static PATH_MAX + 16])
{
	snprintf(path, PATH_MAX + 16, "%s/region", rundir);
}

const struct region *
attach_quietly(const char *rundir)
{
	char path[PATH_MAX + 16];

	region_path(rundir, path);
	return region_attach(path);
}

const struct region *
attach_region(const char *verb, const char *rundir)
{
	const struct region *r = attach_quietly(rundir);
	char path[PATH_MAX + 16];

	if (r)
		return r;
	region_path(rundir, path);
	if (errno == ENOENT || errno == ENOTDIR)
		fprintf(stderr, "postern %s: no gateway runs here: there is no %s\n"
			"Next: systemctl status postern, or postern %s -c FILE for a gateway with "
			"another configuration\n", verb, path, verb);
	else if (errno == EACCES)
		fprintf(stderr, "postern %s: %s cannot be read: %s\n"
			"Next: sudo postern %s\n", verb, path, strerror(errno), verb);
	else if (errno == ESTALE)
		fprintf(stderr, "postern %s: no gateway has run since the machine started: "
			"%s is older\nNext: systemctl start postern\n", verb, path);
	else
		fprintf(stderr, "postern %s: %s is not of this version of postern (%s)\n"
			"Next: use the postern that runs: /proc/PID/exe %s\n", verb, path,
			strerror(errno), verb);
	return NULL;
}

int
attach_shared(const char *verb, const char *rundir, const struct region *r,
	      struct shared *s)
{
	if (shared_find(s, r) == 0)
		return 0;
	fprintf(stderr, "postern %s: the gateway in %s counts in another way than this version of "
		"postern\nNext: use the postern that runs: /proc/PID/exe %s\n", verb, rundir, verb);
	return -1;
}

bool
attach_same(const char *rundir, const struct region *r)
{
	char path[PATH_MAX + 16];
	struct stat there, mapped;

	region_path(rundir, path);
	return stat(path, &there) == 0 && fstat(region_fd(r), &mapped) == 0 &&
	       there.st_dev == mapped.st_dev && there.st_ino == mapped.st_ino;
}
