/* build — from files to an image, in a child of its own.
 *
 * The builder reads and checks everything, compiles the image into a memfd mapped at its
 * slice of the window, prints what it found to standard error, seals the memfd and dies,
 * its leaks and crashes with it. What the master needs to know comes over a pipe. */
#ifndef MASTER_BUILD_H
#define MASTER_BUILD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "master/window.h"
#include "shm/shared.h"
#include "worker/worker.h"

enum { BUILD_TIMEOUT = 180 * 1000 };    /* ms */

struct build {
	pid_t pid;                      /* 0: none under way */
	int pipe;
	int memfd;
	int slice;                      /* taken from the window */
	uint64_t generation;
	uint64_t serving; /* set before the start: what stays when it fails; 0: none */
	uint64_t deadline;              /* ms, monotonic */
};

struct build_answer {
	bool ok;
	uint32_t errors, warnings, files;
	uint64_t size;                  /* of the image, whole pages */
	const struct image *image;      /* where it lies; not mapped here yet */
	char text[200];                 /* why not, or the number of findings */
};

/* What the builder does for the master beside building. */
struct build_setup {
	/* Between loading and compiling, when the region is not open yet because only the configuration says where
	 * it lies: opens it. -1: said why. NULL: it is open. */
	int (*open)(void *arg, const struct conf_gateway *, struct shared *);
	/* The configuration is good: what it counts in is reserved and may be filled from the store. */
	void (*good)(void *arg, const struct conf_gateway *, struct shared *);
	void *arg;
};

/* Forks the builder. -1 with errno. */
int build_start(struct build *, struct window *, const char *file, uint64_t generation,
		const struct shared *, const struct build_setup *);

/* Kills the builder, if there is one. */
void build_kill(const struct build *);

/* After its pipe became readable or the deadline passed: fills the answer and ends the build. If it is not
 * ok, memfd and slice are given back; else they are the caller's. */
void build_finish(struct build *, struct window *, struct build_answer *);

/* Without forking, into memory of this process, for --single. NULL after saying why on standard error. */
const struct image *build_here(struct window *, const char *file, struct shared *,
			       const struct build_setup *);

#endif
