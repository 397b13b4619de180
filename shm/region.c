#include "shm/region.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/str.h"

enum { PAGE = 4096, SEGMENTS_MAX = 60 };

#define REGION_MAGIC 0x316e6f6967657270ull

struct region_entry {
	char name[32];
	uint32_t version, item;
	uint64_t count;
	uint64_t at, len;               /* in the file; whole pages */
};

/* The first page of the file. Only `nsegments` changes once the file has its name: it is
 * raised when an entry is complete, so that a killed master leaves what nobody sees. */
struct region_header {
	uint64_t magic;
	uint64_t layout;
	uint64_t size;
	char boot[40];
	_Atomic uint32_t nsegments;
	uint32_t spare;
	struct region_entry entry[SEGMENTS_MAX];
};

_Static_assert(sizeof(struct region_entry) == 64, "part of the layout");
_Static_assert(sizeof(struct region_header) <= PAGE, "the header is the first page");
_Static_assert(ATOMIC_INT_LOCK_FREE == 2 && ATOMIC_LLONG_LOCK_FREE == 2, "no locks in the region");

struct region {
	struct region_header *header;
	size_t size;
	int fd;
	bool writable;
};

static uint64_t
layout_hash(void)
{
	const uint64_t facts[] = {
		1, PAGE, SEGMENTS_MAX,
		sizeof(struct region_header), sizeof(struct region_entry),
		offsetof(struct region_header, boot),
		offsetof(struct region_header, nsegments),
		offsetof(struct region_header, entry),
		offsetof(struct region_entry, version),
		offsetof(struct region_entry, count),
		offsetof(struct region_entry, at),
		sizeof(void *), 0x0102030405060708ull,
	};

	return str_hash((struct str){ (const char *)facts, sizeof(facts) });
}

/* The kernel's name for this boot; empty where /proc does not say. */
static void
boot_id(char id[40])
{
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, id, 36);

	if (n < 0)
		n = 0;
	memset(id + n, 0, 40 - (size_t)n);
	if (fd >= 0)
		close(fd);
}

static uint64_t
whole_pages(uint64_t len)
{
	return (len + PAGE - 1) & ~(uint64_t)(PAGE - 1);
}

static bool
directory_is_whole(const struct region_header *h, uint64_t size)
{
	uint32_t n = atomic_load_explicit(&h->nsegments, memory_order_acquire);
	uint64_t end = PAGE;

	if (n > SEGMENTS_MAX)
		return false;
	for (uint32_t i = 0; i < n; i++) {
		const struct region_entry *e = &h->entry[i];

		if (!memchr(e->name, '\0', sizeof(e->name)) || !e->item || !e->count ||
		    e->at != end || e->len > size - end ||
		    e->count > e->len / e->item)
			return false;
		end += e->len;
	}
	return true;
}

/* 0, or an errno that says what is wrong with the file of `size` bytes. */
static int
header_compare(const struct region_header *h, uint64_t size)
{
	char boot[40];

	if (h->magic != REGION_MAGIC || h->layout != layout_hash() || h->size != size ||
	    !directory_is_whole(h, size))
		return EPROTO;
	boot_id(boot);
	return memcmp(h->boot, boot, sizeof(boot)) == 0 ? 0 : ESTALE;
}

/* Takes `fd`: it is closed when NULL is returned. */
static struct region *
region_map(int fd, bool writable)
{
	struct region *r = NULL;
	void *at = MAP_FAILED;
	struct stat st;
	int error;

	if (fstat(fd, &st) < 0)
		goto fail;
	if (!S_ISREG(st.st_mode) || st.st_size < PAGE || st.st_size % PAGE) {
		errno = EPROTO;
		goto fail;
	}
	at = mmap(NULL, (size_t)st.st_size, writable ? PROT_READ | PROT_WRITE : PROT_READ,
		  MAP_SHARED | MAP_NORESERVE, fd, 0);
	if (at == MAP_FAILED)
		goto fail;
	error = header_compare(at, (uint64_t)st.st_size);
	if (error) {
		errno = error;
		goto fail;
	}
	/* The file itself is the dump of it. */
	madvise(at, (size_t)st.st_size, MADV_DONTDUMP);
	/* On a disk, reading where nothing was written would fill memory ahead. */
	madvise(at, (size_t)st.st_size, MADV_RANDOM);
	r = malloc(sizeof(*r));
	if (!r)
		goto fail;
	*r = (struct region){ .header = at, .size = (size_t)st.st_size, .fd = fd,
			      .writable = writable };
	return r;
fail:
	error = errno;
	if (at != MAP_FAILED)
		munmap(at, (size_t)st.st_size);
	close(fd);
	errno = error;
	return NULL;
}

/* A file that nobody finds before it is complete. Returns its descriptor, or -1. */
static int
region_create(const char *path, size_t size)
{
	struct region_header h = { .magic = REGION_MAGIC, .layout = layout_hash() };
	char fresh[PATH_MAX];
	int fd, error, n;

	size = whole_pages(size < PAGE ? PAGE : size);
	h.size = size;
	boot_id(h.boot);
	n = snprintf(fresh, sizeof(fresh), "%s.%d", path, (int)getpid());
	if ((size_t)n >= sizeof(fresh)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	unlink(fresh);
	fd = open(fresh, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0640);
	if (fd < 0)
		return -1;
	errno = ENOSPC;
	if (ftruncate(fd, (off_t)size) < 0 ||
	    pwrite(fd, &h, sizeof(h), 0) < (ssize_t)sizeof(h) ||
	    rename(fresh, path) < 0) {
		error = errno;
		unlink(fresh);
		close(fd);
		errno = error;
		return -1;
	}
	return fd;
}

struct region *
region_open(const char *path, size_t size)
{
	int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	struct region *r;

	if (fd >= 0) {
		r = region_map(fd, true);
		if (r && r->size >= size)
			return r;
		if (r) {
			region_close(r);
			errno = EPROTO;
		}
		if (errno == ESTALE)
			log_notice("region %s is of an earlier boot: counters start at zero", path);
		else if (errno == EPROTO)
			log_notice("region %s has another layout or is damaged: "
				   "counters start at zero", path);
		else
			return NULL;
	} else if (errno != ENOENT) {
		return NULL;
	}
	fd = region_create(path, size);
	return fd < 0 ? NULL : region_map(fd, true);
}

const struct region *
region_attach(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	return fd < 0 ? NULL : region_map(fd, false);
}

void
region_close(struct region *r)
{
	if (!r)
		return;
	munmap(r->header, r->size);
	close(r->fd);
	free(r);
}

const void *
region_find(const struct region *r, const struct region_shape *shape)
{
	const struct region_header *h = r->header;
	uint32_t n = atomic_load_explicit(&h->nsegments, memory_order_acquire);

	for (uint32_t i = 0; i < n; i++) {
		const struct region_entry *e = &h->entry[i];

		if (strcmp(e->name, shape->name) == 0 && e->version == shape->version &&
		    e->item == shape->item && e->count == shape->count)
			return (const char *)h + e->at;
	}
	return NULL;
}

static void *
segment_add(struct region *r, const struct region_shape *shape)
{
	struct region_header *h = r->header;
	uint32_t n = atomic_load_explicit(&h->nsegments, memory_order_acquire);
	uint64_t end = n ? h->entry[n - 1].at + h->entry[n - 1].len : PAGE;
	struct region_entry *e = &h->entry[n];

	if (n == SEGMENTS_MAX || strlen(shape->name) >= sizeof(e->name) || !shape->item ||
	    !shape->count || shape->count > (r->size - end) / shape->item ||
	    whole_pages(shape->item * shape->count) > r->size - end) {
		errno = EFBIG;          /* of the region; ENOSPC is the file system's */
		return NULL;
	}
	memset(e, 0, sizeof(*e));
	memcpy(e->name, shape->name, strlen(shape->name));
	e->version = shape->version;
	e->item = shape->item;
	e->count = shape->count;
	e->at = end;
	e->len = whole_pages(shape->item * shape->count);
	atomic_store_explicit(&h->nsegments, n + 1, memory_order_release);
	return (char *)h + e->at;
}

void *
region_segment(struct region *r, const struct region_shape *shape, bool *found)
{
	void *at;

	/* Two masters during an upgrade; the kernel drops the lock of one that dies. */
	flock(r->fd, LOCK_EX);
	at = (void *)(uintptr_t)region_find(r, shape);
	if (found)
		*found = at != NULL;
	if (!at)
		at = segment_add(r, shape);
	flock(r->fd, LOCK_UN);
	return at;
}

int
region_reserve(struct region *r, void *at, size_t len)
{
	off_t from = (char *)at - (char *)r->header;
	int rc;

	do
		rc = fallocate(r->fd, 0, from, (off_t)len);
	while (rc < 0 && errno == EINTR);
	return rc < 0 && errno != EOPNOTSUPP ? -1 : 0;
}

bool
region_touched(const struct region *r, const void *at, size_t len)
{
	off_t from = (const char *)at - (const char *)r->header;
	off_t data = lseek(r->fd, from, SEEK_DATA);

	return data < 0 ? errno != ENXIO : data < from + (off_t)len;
}

int
region_fd(const struct region *r)
{
	return r->fd;
}
