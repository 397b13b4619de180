#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "master/master.h"
#include "master/rundir.h"
#include "shm/store_cells.h"

enum { LOCK_PATIENCE = 500, LOCK_AGAIN = 10 };   /* ms */

static char *
text_of(struct str s)
{
	char *z = strndup(s.len ? s.at : "", s.len);

	if (!z)
		abort();
	return z;
}

/* What an upgrade executes: the path by which we were found, not the file it led to, for
 * that may be replaced by then. */
static char *
find_program(const char *name)
{
	const char *path = getenv("PATH");
	char *copy = strdup(path ? path : ""), *rest = copy, *dir, at[PATH_MAX] = "", cwd[PATH_MAX];

	if (!copy)
		abort();
	if (strchr(name, '/')) {
		if (name[0] == '/' || !getcwd(cwd, sizeof(cwd)))
			cwd[0] = '\0';
		snprintf(at, sizeof(at), "%.2000s%s%.2000s", cwd, cwd[0] ? "/" : "", name);
	} else {
		while ((dir = strsep(&rest, ":"))) {
			snprintf(at, sizeof(at), "%.2000s/%.2000s", *dir ? dir : ".", name);
			if (access(at, X_OK) == 0)
				break;
		}
	}
	free(copy);
	copy = strdup(at);
	if (!copy)
		abort();
	return copy;
}

int
setup_early(struct master *m)
{
	m->program = find_program(m->argv[0]);
	m->row = -1;
	m->lock = -1;
	for (int i = 0; i < SLOTS_MAX; i++)
		m->children[i].channel = -1;
	m->upgrade.ready = -1;
	m->reload.build.pipe = -1;
	privs_files(0);
	if (window_reserve(&m->window) < 0) {
		log_error("no address space for configurations: %s", strerror(errno));
		return -1;
	}
	return 0;
}

/* A master that was killed this moment may not be quite gone. */
static int
lock(struct master *m)
{
	for (int left = LOCK_PATIENCE;; left -= LOCK_AGAIN) {
		m->lock = rundir_lock(m->rundir, m->bequest.lock);
		if (m->lock >= 0)
			return 0;
		if (errno != EWOULDBLOCK || left <= 0)
			break;
		poll(NULL, 0, LOCK_AGAIN);
	}
	if (errno == EWOULDBLOCK)
		log_error("another postern runs in %s (its pid is in postern.pid there): "
			  "stop it, or give this one another gateway.rundir [E525]", m->rundir);
	else
		log_error("cannot lock %s/postern.lock: %s [E524]. Next: postern explain E524",
			  m->rundir, strerror(errno));
	return -1;
}

static int
directory(const char *key, struct str path, const struct identity *id)
{
	char *z = text_of(path);
	int rc = privs_directory(z, id);

	if (rc < 0)
		log_error("gateway.%s %s: %s [E524]. Next: postern explain E524", key, z,
			  strerror(errno));
	free(z);
	return rc;
}

static int
region(struct master *m)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%.4000s/region", m->rundir);
	m->region = region_open(path, REGION_SIZE);
	if (m->region && shared_open(&m->shared, m->region) < 0 && errno == EFBIG) {
		log_notice("region %s is full of tables of other versions: counters start at zero",
			   path);
		region_close(m->region);
		unlink(path);
		m->region = region_open(path, REGION_SIZE);
	}
	if (!m->region || shared_open(&m->shared, m->region) < 0) {
		log_error("%s: %s [E524]. Next: postern explain E524", path, strerror(errno));
		return -1;
	}
	/* A fresh start, that no upgrade is: the store gets another chance. */
	if (m->bequest.lock < 0)
		m->shared.control->store_deaths = 0;
	/* The gateway's user may look at it (postern why, stat, top). */
	if (m->identity.change &&
	    fchown(region_fd(m->region), (uid_t)-1, m->identity.gid) < 0)
		log_warn("%s: %s: user %s cannot read it", path, strerror(errno), m->identity.name);
	return 0;
}

/* What processes of another life had under way when they were killed with their
 * master. */
static void
forget_dead(struct shared *s)
{
	for (int i = 0; i < SLOTS_MAX; i++) {
		const struct slot *row = &s->slots->row[i];

		if (row->role == SLOT_WORKER && !slot_alive(row))
			inflight_clear(&s->inflight, i);
	}
}

int
setup_region(struct master *m, const struct conf_gateway *g)
{
	char *user = text_of(g->user);
	int rc = privs_identity(&m->identity, g->user);

	if (rc < 0)
		log_error("gateway.user: there is no user \"%s\" [E523]. Next: adduser --system "
			  "--group %s, or leave it out", user, user);
	free(user);
	if (rc < 0 || directory("rundir", g->rundir, &m->identity) < 0 ||
	    directory("statedir", g->statedir, &m->identity) < 0)
		return -1;
	m->rundir = text_of(g->rundir);
	if (g->pid_file.len)
		m->pid_file = text_of(g->pid_file);
	else if (asprintf(&m->pid_file, "%s/postern.pid", m->rundir) < 0)
		abort();
	if (lock(m) < 0 || region(m) < 0)
		return -1;
	forget_dead(&m->shared);
	return 0;
}

int
setup_in_builder(void *master, const struct conf_gateway *g, struct shared *shared)
{
	struct master *m = master;
	int rc = setup_region(m, g);

	*shared = m->shared;
	/* The master takes it next, perhaps before the builder is gone. */
	if (m->lock >= 0 && m->lock != m->bequest.lock && m->forks)
		close(m->lock);
	return rc;
}

/* Limits go on where the machine stopped: before any worker uses a table that this region
 * did not have yet. As the user that the keeper is, so that no file of root's is left. */
void
setup_restore(void *master, const struct conf_gateway *g, struct shared *s)
{
	uint32_t fresh = s->control->tables & ~s->control->restored;
	struct cells *cells = fresh & TABLE_CELLS ? s->cells : NULL;
	struct quotas *quotas = fresh & TABLE_QUOTAS ? s->quotas : NULL;
	struct master *m = master;
	struct store *store;
	enum store_failure why;
	char path[PATH_MAX];
	const char *error;

	if ((!cells && !quotas) || !m->forks)
		return;
	snprintf(path, sizeof(path), "%.*s/state", STR_ARG(g->statedir));
	if (privs_borrow(&m->identity) == 0 && access(path, F_OK) == 0) {
		store = store_open(path, true, &error, &why);
		if (!store)
			log_error("store %s: %s; limits begin anew", path, error);
		else if (checkpoint_restore(store, cells, quotas, clock_now(),
					    clock_wall_ms() * 1000000) < 0)
			log_error("store %s: %s; limits begin anew", path, store_error(store));
		store_close(store);
	}
	privs_give_back();
	s->control->restored |= fresh & (TABLE_CELLS | TABLE_QUOTAS);
}

void
setup_warn(const struct master *m, const struct conf_gateway *g)
{
	struct rlimit files;
	struct identity id;
	char *user = text_of(g->user);

	if (geteuid() != 0 && g->user.len && !privs_is_me(user))
		log_warn("not started as root: gateway.user = \"%s\" changes nothing", user);
	else if (geteuid() == 0 && privs_identity(&id, g->user) == 0 &&
		 id.uid != m->identity.uid)
		log_warn("gateway.user changes at the next start, not by a reload");
	free(user);
	if (!str_eq(g->rundir, str_of(m->rundir)))
		log_warn("gateway.rundir changes at the next start, not by a reload");
	if (getrlimit(RLIMIT_NOFILE, &files) == 0 &&
	    g->max_files > (int64_t)files.rlim_max && privs_files(g->max_files) < 0)
		log_warn("gateway.max_files: %lld open files are more than allowed: %llu",
			 (long long)g->max_files, (unsigned long long)files.rlim_max);
	privs_core(g->core_dumps);
}

unsigned
setup_workers(const struct conf_gateway *g)
{
	unsigned n = g->workers > 0 ? (unsigned)g->workers : privs_cpus();

	if (n > WORKERS_MAX) {
		log_warn("%u workers are more than there can be: %d", n, WORKERS_MAX);
		n = WORKERS_MAX;
	}
	return n;
}
