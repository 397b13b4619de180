#include "master/privs.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"

int
privs_identity(struct identity *id, struct str user)
{
	struct passwd *pw;

	*id = (struct identity){ .uid = geteuid(), .gid = getegid() };
	if (!user.len)
		return 0;
	snprintf(id->name, sizeof(id->name), "%.*s", STR_ARG(user));
	if (geteuid() != 0)
		return 0;
	errno = 0;
	pw = getpwnam(id->name);
	if (!pw) {
		if (!errno)
			errno = ENOENT;
		return -1;
	}
	id->uid = pw->pw_uid;
	id->gid = pw->pw_gid;
	id->change = id->uid != 0;
	return 0;
}

bool
privs_is_me(const char *user)
{
	const struct passwd *pw = getpwnam(user);

	return pw && pw->pw_uid == geteuid();
}

int
privs_directory(const char *path, const struct identity *id)
{
	char at[PATH_MAX];
	struct stat st;

	if ((size_t)snprintf(at, sizeof(at), "%s", path) >= sizeof(at)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	for (char *slash = strchr(at + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(at, 0755) < 0 && errno != EEXIST && errno != EROFS &&
		    errno != EACCES)
			return -1;
		*slash = '/';
	}
	if (mkdir(at, 0755) < 0) {
		if (errno != EEXIST || stat(at, &st) < 0)
			return -1;
		if (!S_ISDIR(st.st_mode)) {
			errno = ENOTDIR;
			return -1;
		}
		return 0;
	}
	if (id->change && chown(at, id->uid, id->gid) < 0)
		return -1;
	return 0;
}

int
privs_files(int64_t max_files)
{
	struct rlimit now, want;

	if (getrlimit(RLIMIT_NOFILE, &now) < 0)
		return -1;
	want = now;
	want.rlim_cur = now.rlim_max;
	if (max_files > 0) {
		want.rlim_cur = (rlim_t)max_files;
		if (want.rlim_max < want.rlim_cur)
			want.rlim_max = want.rlim_cur;
	}
	if (setrlimit(RLIMIT_NOFILE, &want) == 0)
		return 0;
	want.rlim_cur = want.rlim_max = now.rlim_max;
	setrlimit(RLIMIT_NOFILE, &want);
	return -1;
}

void
privs_core(bool wanted)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_CORE, &limit) < 0)
		return;
	limit.rlim_cur = wanted ? limit.rlim_max : 0;
	setrlimit(RLIMIT_CORE, &limit);
}

void
privs_drop(const struct identity *id, bool core_dumps)
{
	if (id->change && (initgroups(id->name, id->gid) < 0 ||
			   setresgid(id->gid, id->gid, id->gid) < 0 ||
			   setresuid(id->uid, id->uid, id->uid) < 0 || setuid(0) == 0)) {
		log_error("cannot become user \"%s\": %s", id->name, strerror(errno));
		_exit(1);
	}
	prctl(PR_SET_NO_NEW_PRIVS, 1L, 0L, 0L, 0L);
	privs_core(core_dumps);
	/* The change of user clears it; so last. */
	prctl(PR_SET_DUMPABLE, core_dumps ? 1L : 0L, 0L, 0L, 0L);
}

int
privs_borrow(const struct identity *id)
{
	return id->change && (setegid(id->gid) < 0 || seteuid(id->uid) < 0) ? -1 : 0;
}

void
privs_give_back(void)
{
	if (seteuid(getuid()) < 0 || setegid(getgid()) < 0)
		abort();
}

unsigned
privs_cpus(void)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	if (sched_getaffinity(0, sizeof(set), &set) < 0 || CPU_COUNT(&set) < 1)
		return 1;
	return (unsigned)CPU_COUNT(&set);
}

int
privs_cpu(unsigned number)
{
	unsigned skip = number % privs_cpus();
	cpu_set_t set;

	CPU_ZERO(&set);
	if (sched_getaffinity(0, sizeof(set), &set) < 0)
		return -1;
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, &set) && skip-- == 0)
			return cpu;
	return -1;
}

void
privs_pin(int cpu)
{
	cpu_set_t set;

	if (cpu < 0)
		return;
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set) < 0)
		log_warn("cannot run on cpu %d only: %s", cpu, strerror(errno));
}
