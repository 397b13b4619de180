/* region — the memory that all processes share: one file, <rundir>/region.
 *
 * A header {magic, layout hash, size, boot id} and a directory of page-aligned
 * segments found by name and shape: a segment with the same name and shape is the one
 * that an earlier process left (it outlives reloads, upgrades, a killed master), any
 * other starts empty. No pointer and no lock lies in it; each cache line has one
 * writer, or is one atomic word; nothing needs repair after kill -9.
 *
 * The master opens it before the first fork; its children inherit the mapping. A
 * reader such as `postern stat` attaches read-only. */
#ifndef SHM_REGION_H
#define SHM_REGION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct region;

/* Room for all segments of two versions, so that an upgrade finds its place: rings and series of SLOTS_MAX rows
 * take 1.5 GiB of one. Address space only: a page takes memory when it is reserved or touched. */
#define REGION_SIZE ((size_t)4 << 30)

/* What a segment consists of; the shape is part of its identity. */
struct region_shape {
	const char *name;               /* at most 31 bytes */
	uint32_t version;               /* of its meaning */
	uint32_t item;                  /* bytes of an item */
	uint64_t count;                 /* items */
};

/* Opens or creates `path`. The file is sparse: rows of per-process segments take memory when a process
 * gets them (region_reserve). A file with another layout, another boot or a damaged directory is
 * replaced (processes that have the old one keep it), and that is logged. `size` is the room for all
 * segments: REGION_SIZE. NULL with errno set. */
struct region *region_open(const char *path, size_t size);

/* Read-only, for the command line. NULL with errno set: ENOENT, EPROTO for another layout, ESTALE for a
 * file of an earlier boot. */
const struct region *region_attach(const char *path);

void region_close(struct region *);

/* The segment, found or made (zeroed). NULL, errno EFBIG, if the region is full: segments of a shape that nobody
 * asks for any more stay, as an old binary may use them; who wants the room back unlinks the file and opens it anew.
 * The master only. */
void *region_segment(struct region *, const struct region_shape *, bool *found);

/* Reserves the pages under a part of a segment (fallocate), so that a full tmpfs is an error here and
 * not a SIGBUS later. -1 with errno set. */
int region_reserve(struct region *, void *at, size_t len);

/* The segment if it is there with that shape, else NULL. */
const void *region_find(const struct region *, const struct region_shape *);

/* Whether any page of these bytes holds anything. Looking at a page that does not would give it memory (or
 * a SIGBUS, if there is none): readers of per-process segments ask first, for a whole row, which is reserved
 * before it is used. */
bool region_touched(const struct region *, const void *at, size_t len);

/* The mapped file, to be inherited by a new binary. */
int region_fd(const struct region *);

#endif
