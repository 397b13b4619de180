/* master — the process that the service manager starts: one loop over signals, children and deadlines.
 *
 * Words: *post*, a job that is kept filled (each worker slot, and the keeper); *child*, a process that
 * fills or filled one; *generation*, a configuration image with its slice of the window;
 * *reload*, the transaction that puts the next generation in force (the first start is one, too).
 * Only files of master/ know this struct; no child reads it (heritage.h).
 *
 * The master never serves, never waits for anything but poll() (and, before it serves at all, for an
 * address that a predecessor is about to let go). */
#ifndef MASTER_MASTER_H
#define MASTER_MASTER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "master/backoff.h"
#include "master/bequest.h"
#include "master/build.h"
#include "master/privs.h"
#include "master/sockets.h"
#include "master/window.h"
#include "shm/shared.h"
#include "worker/channel.h"
#include "worker/worker.h"

enum {
	WORKERS_MAX = 120,              /* twice as many and both keepers fit into the slots */
	PREPARE_TIMEOUT = 10 * 1000,    /* ms: for all workers to map and bind an image */
	COMMIT_TIMEOUT = 5 * 1000,
	READY_TIMEOUT = 60 * 1000,      /* for a new binary, or the first workers, to serve */
	DRAIN_SLACK = 1500,             /* workers look at their deadline once a second */
	STOP_GRACE = 1000,              /* from CHANNEL_STOP to SIGKILL */
	HEARTBEAT = 1000,
	HEARTBEAT_OLD = 5000,           /* of a worker: it hangs */
};

struct generation {
	struct generation *next;
	uint64_t number;                /* the revision that messages speak of */
	int slice, memfd;               /* memfd -1: in force, nobody needs it any more */
	size_t size;
	const struct image *image;      /* mapped here; NULL: no longer */
	unsigned holders;               /* children that have it mapped */
};

enum child_state { CHILD_NONE, CHILD_STARTING, CHILD_SERVING, CHILD_DRAINING };
enum vote { VOTE_NONE, VOTE_ASKED, VOTE_GIVEN, VOTE_COMMITTING };

struct child {
	enum child_state state;
	enum slot_role role;
	uint32_t number;                /* of the worker */
	pid_t pid;
	int row, channel;
	uint64_t started;               /* ms, monotonic */
	uint64_t drain_by;              /* ms, monotonic, of a worker that drains: then it is killed */
	enum vote vote;                 /* in the reload under way */
	uint64_t held[WINDOW_SLICES / 64];      /* slices that it has mapped */
	uint32_t *sockets;              /* ids of those that it has */
	size_t nsockets;
};

struct post {
	struct child *child;            /* NULL: vacant */
	struct backoff backoff;
	uint64_t again;                 /* ms, monotonic: when it is filled again */
};

enum reload_state { RELOAD_NONE, RELOAD_BUILDING, RELOAD_PREPARING, RELOAD_COMMITTING };

struct reload {
	enum reload_state state;
	struct build build;
	struct generation *coming;      /* PREPARING */
	uint64_t number, started, deadline;
	unsigned deaths;                /* of workers while it was prepared */
	bool again;                     /* asked for meanwhile */
};

enum upgrade_state { UPGRADE_NONE, UPGRADE_ASKED, UPGRADE_WAITING };

struct upgrade {
	enum upgrade_state state;
	pid_t pid;
	int ready;                      /* pipe from the new master */
	uint64_t deadline;
};

enum master_state { MASTER_STARTING, MASTER_SERVING, MASTER_STOPPING };
enum stop_level { STOP_QUIT = 1, STOP_TERM, STOP_NOW, STOP_KILL };

struct master {
	enum master_state state;
	const char *file;               /* of the configuration */
	char **argv;
	char *program;                  /* what an upgrade executes */
	bool forks;                     /* false: --single */
	int exit_status;
	int signals;                    /* signalfd */

	struct window window;
	struct region *region;
	struct shared shared;
	int row;                        /* of the master itself */
	char *rundir, *pid_file;        /* as of the start */
	int lock;
	struct identity identity;

	struct generation *generations; /* all that somebody still has */
	struct generation *current;     /* NULL: none was ever in force */
	uint64_t last_number;
	unsigned workers;               /* wanted, by `current` */
	struct sockets sockets;
	struct post posts[WORKERS_MAX], keeper;
	struct child children[SLOTS_MAX];

	struct reload reload;
	struct upgrade upgrade;
	struct bequest bequest;         /* from the master before us */
	bool heir;                      /* there was one */

	enum stop_level stopping;
	uint64_t stop_deadline;         /* of this level */
	bool handed_over;               /* a new master goes on: its sockets and files are not ours to remove */

	uint64_t next_heartbeat, next_watchdog;
	uint64_t start_deadline;
	char rejected[160];             /* "revision 42 REJECTED 14:03: 3 errors"; empty: none since */
	char status[512];               /* as last told */
};

/* master.c — the exit status */
int master_run(const char *file, char **argv, bool single);

/* spawn.c — children */
void spawn_posts(struct master *);                      /* fills vacant posts whose time has come */
void spawn_reap(struct master *);                       /* after SIGCHLD */
void spawn_listen(struct master *, struct child *);     /* reads its channel */
int spawn_tell(struct child *, const struct channel_msg *, int fd);
void spawn_overdue(struct master *);                    /* kills those that should be gone */
void spawn_drain(struct master *, struct child *, uint64_t ms, bool others_serve);
bool spawn_all_serve(const struct master *);
uint64_t spawn_next(const struct master *);             /* when a post is to be filled; 0: none */
#define EACH_CHILD(m, c) \
	for (struct child *c = (m)->children; c < (m)->children + SLOTS_MAX; c++) \
		if (c->state != CHILD_NONE)

/* generation.c */
struct generation *generation_add(struct master *, const struct build *, const struct build_answer *);
void generation_hold(struct master *, struct generation *, struct child *);
void generation_let_go(struct master *, struct child *, uint64_t number);
void generation_let_go_all(struct master *, struct child *);
void generation_retire(struct master *, struct generation *);  /* not in force: the master unmaps it */
void generation_sweep(struct master *);                 /* gives back what nobody has */

/* setup.c — what is done once. -1: said why. */
int setup_early(struct master *);                       /* before the configuration is known */
int setup_region(struct master *, const struct conf_gateway *);  /* user, directories, lock, region */
int setup_in_builder(void *master, const struct conf_gateway *, struct shared *);
void setup_restore(void *master, const struct conf_gateway *, struct shared *);
void setup_warn(const struct master *, const struct conf_gateway *);
unsigned setup_workers(const struct conf_gateway *);
int setup_single(struct master *);                      /* --single: serves; the exit status */

/* reload.c */
void reload_ask(struct master *);
void reload_built(struct master *);                     /* the builder's pipe speaks, or its time is over */
void reload_check(struct master *);                     /* after votes, deaths and deadlines */
void reload_invite(struct master *, struct child *);    /* a child that was started meanwhile */
void reload_voted(struct master *, struct child *, const struct channel_msg *);
void reload_died(struct master *, const struct child *);
void reload_stop(struct master *);                      /* we are leaving: no word of it */
void reload_refuse(struct master *, const char *why);   /* all that was prepared is taken back */

/* stop.c */
void stop_ask(struct master *, enum stop_level);
void stop_check(struct master *);
bool stop_is_over(const struct master *);

/* upgrade.c */
void upgrade_ask(struct master *);
void upgrade_check(struct master *, bool readable);
void upgrade_reaped(struct master *, int status);
void upgrade_take(struct master *);                     /* takes what a master before us left */
void upgrade_tell_ready(struct master *);

/* status.c */
void status_tell(struct master *);                      /* STATUS=, when it changed */
void status_watchdog(struct master *);
void status_record(struct master *, uint64_t number, bool ok, const char *why);
const char *status_death(int status, char *to, size_t size);

#endif
