/* crash — leaves word of what a worker was doing when a fatal signal ended it.
 *
 * The handler writes the signature of the request under way (exchange_signature()) into the
 * worker's ring, where the master finds it (shm/poison.h), and lets the signal do what it
 * does by default: the core is that of the fault. It runs on a stack of its own, as the
 * fault may be an overflow. */
#ifndef WORKER_CRASH_H
#define WORKER_CRASH_H

struct ring;

/* Once a process, before it serves. Signals that something else handles already (a
 * sanitizer) are left to it. */
void crash_install(struct ring *);

#endif
