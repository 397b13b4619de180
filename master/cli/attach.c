#include "master/cli/attach.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf/load.h"
#include "worker/worker.h"

enum { CONF_ROOM = 1 << 30 };

static void
take(char to[static PATH_MAX], struct str path)
{
	if (path.len && path.len < PATH_MAX)
		snprintf(to, PATH_MAX, "%.*s", STR_ARG(path));
}

/* A file with errors is read as far as it goes: the gateway runs by an older one, and
 * most likely at the same place. */
int
attach_places(const char *verb, const char *file, bool asked, struct attach_places *p)
{
	struct arena image, notes;
	const struct conf_model *m;
	struct diag d;

	*p = (struct attach_places){ .socket = "" };
	arena_init(&image, NULL, 0, CONF_ROOM);
	arena_init(&notes, NULL, 0, CONF_ROOM);
	diag_init(&d, &notes);
	m = conf_read(file, &image, worker_types(), &d);
	if (m) {
		take(p->rundir, m->gateway.rundir);
		take(p->statedir, m->gateway.statedir);
		take(p->socket, m->admin.socket);
		if (d.errors && !*p->socket && *p->rundir)
			snprintf(p->socket, PATH_MAX, "%.4000s/admin.sock", p->rundir);
	}
	if (asked && d.errors && *p->rundir)
		fprintf(stderr, "postern %s: %s has errors (postern check -c %s says which); "
			"the gateway is looked for in %s\n", verb, file, file, p->rundir);
	else if (asked && !*p->rundir)
		diag_print(&d, stderr);
	arena_reset(&notes);
	arena_reset(&image);
	return *p->rundir ? 0 : -1;
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
	struct attach_places p;

	if (rundir) {
		snprintf(buf, PATH_MAX, "%s", rundir);
		return 0;
	}
	usual_rundir(buf);
	if (conf && attach_places(verb, conf, true, &p) < 0) {
		fprintf(stderr, "postern %s: the run directory is not known.\n"
			"Next: postern check -c %s, or postern %s --rundir DIR\n",
			verb, conf, verb);
		return -1;
	}
	if (conf ||
	    (access(usual, R_OK) == 0 && attach_places(verb, usual, false, &p) == 0))
		take(buf, str_of(p.rundir));
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
