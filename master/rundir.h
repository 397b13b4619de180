/* rundir — the run directory: its lock and the pid file.
 *
 * Two masters on one run directory would share a region and remove each other's sockets:
 * the second is refused. The lock goes over to the new master at a binary upgrade (the
 * open file is inherited), and is gone with its last holder, however that died. */
#ifndef MASTER_RUNDIR_H
#define MASTER_RUNDIR_H

/* Locks <rundir>/postern.lock. `inherited`: a descriptor that may hold it already, or -1. Returns the
 * descriptor; -1 with errno: EWOULDBLOCK when another master has it. */
int rundir_lock(const char *rundir, int inherited);

/* Writes our pid, complete or not at all. -1 with errno. */
int pidfile_write(const char *path);

/* Removes it if it is ours. */
void pidfile_remove(const char *path);

#endif
