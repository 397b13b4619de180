/* privs — who we are and what we may: user, directories, limits, core dumps, CPUs.
 *
 * The master keeps the identity it was started with (as root it must be able to bind new
 * ports at a reload); workers and keeper become `gateway.user` before they do anything. */
#ifndef MASTER_PRIVS_H
#define MASTER_PRIVS_H

#include <stdbool.h>
#include <sys/types.h>

#include "conf/model.h"

struct identity {
	bool change;                    /* become this user; false: stay who we are */
	uid_t uid;
	gid_t gid;
	char name[64];
};

/* Looks `user` up; empty: stay. Without being root we cannot but stay. -1 with errno: there is no such user. */
int privs_identity(struct identity *, struct str user);

/* Whether this is the name of the user that we are. */
bool privs_is_me(const char *user);

/* Makes a directory and those above it if missing; a new one belongs to the identity. -1 with errno. */
int privs_directory(const char *path, const struct identity *);

/* Raises the number of open files to `max_files`, or as high as allowed (0). -1: that many are not allowed,
 * it is as high as it can be. */
int privs_files(int64_t max_files);

/* Size limit of core dumps: none, or as allowed. */
void privs_core(bool wanted);

/* Core dumps as wanted, no new privileges, the identity. Does not return if the identity cannot be had:
 * nothing serves with more rights than it was given. */
void privs_drop(const struct identity *, bool core_dumps);
/* Acts as the identity for a moment, and as itself again: what is made meanwhile is the identity's. -1 with errno. */
int privs_borrow(const struct identity *);
void privs_give_back(void);

/* CPUs that this process may run on. */
unsigned privs_cpus(void);

/* The cpu for worker `number`: they are dealt out in turn. -1: not known. */
int privs_cpu(unsigned number);
void privs_pin(int cpu);

#endif
