/* conf — any text as a configuration file: it is loaded, or refused with findings.
 *
 * What our scanner lets pass, libconfig must take too (E117 is a defect of ours), every
 * finding must have its place, and what -T prints of a good file must be good and print
 * the same. */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "conf/load.h"
#include "tests/unit/conf/sample.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
write_file(int fd, const void *data, size_t size)
{
	if (ftruncate(fd, 0) < 0 || pwrite(fd, data, size, 0) != (ssize_t)size)
		abort();
}

static void
check_findings(const struct diag *d)
{
	for (const struct diag_item *i = d->first; i; i = i->next) {
		if (i->code == 117)
			abort();
		if (!i->where.file)
			abort();
	}
}

/* The dump of a good file is loaded in its stead. */
static char *
dumped(const char *path, size_t *size)
{
	struct arena findings;
	struct diag d;
	char *text;
	FILE *out = open_memstream(&text, size);

	arena_init(&findings, NULL, 0, (size_t)64 << 20);
	diag_init(&d, &findings);
	if (!out || conf_dump(path, sample_types, &d, out) < 0) {
		diag_print(&d, stderr);
		abort();
	}
	fclose(out);
	arena_reset(&findings);
	return text;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int fd = -1;
	static char path[64];
	struct arena image, findings;
	struct diag d;

	/* Other files are none of its business. */
	if (memmem(data, size, "include", 7) || memmem(data, size, "file:", 5) ||
	    memmem(data, size, "consumers_file", 14))
		return 0;
	if (fd < 0) {
		fd = memfd_create("fuzz", MFD_CLOEXEC);
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	}
	write_file(fd, data, size);
	arena_init(&image, NULL, 0, (size_t)256 << 20);
	arena_init(&findings, NULL, 0, (size_t)64 << 20);
	diag_init(&d, &findings);

	struct conf_model *m = conf_load(path, &image, sample_types, &d);

	if (!m == !d.errors)
		abort();
	check_findings(&d);
	/* What a secret was is not in the dump. */
	if (m && !memmem(data, size, "secret", 6)) {
		size_t one, two;
		char *first = dumped(path, &one);

		write_file(fd, first, one);

		char *second = dumped(path, &two);

		if (one != two || memcmp(first, second, one) != 0)
			abort();
		free(first);
		free(second);
	}
	arena_reset(&findings);
	arena_reset(&image);
	return 0;
}
