/* window — address space kept free for configuration images.
 *
 * The master reserves it before its first fork, so that it lies at the same address in all
 * processes; each generation of the configuration takes one *slice* of it, and pointers
 * inside an image mean the same everywhere. Reserved space costs no memory. */
#ifndef MASTER_WINDOW_H
#define MASTER_WINDOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { WINDOW_SLICES = 1024 };          /* at most */

struct window {
	char *base;
	size_t slice;                   /* bytes of one: the largest image there can be */
	unsigned count;                 /* slices */
	unsigned next;                  /* where the search goes on: a slice given back rests */
	uint64_t taken[WINDOW_SLICES / 64];
};

/* Reserves 1024 slices of 1 GiB, or fewer and smaller ones where the address space is limited. -1 with errno. */
int window_reserve(struct window *);

/* A free slice, or -1. */
int window_take(struct window *);
void window_give(struct window *, int slice);
bool window_taken(const struct window *, int slice);

void *window_at(const struct window *, int slice);

/* Puts the first `size` bytes of `fd` there, read-only or to be filled. -1 with errno. */
int window_map(const struct window *, int slice, int fd, size_t size, bool writable);

/* Nothing is mapped there any more, and nothing else will be put there. */
void window_clear(const struct window *, int slice);

#endif
