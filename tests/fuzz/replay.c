/* Runs a fuzz target over inputs that are kept: the seeds, and what once failed.
 *
 * Arguments are files and directories. Without any: the seeds of the target that the
 * program is named for, tests/fuzz/seeds/<what> under $srcdir. Any input that breaks
 * the target ends the program, as it would end the fuzzer. */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv) __attribute__((weak));

static int inputs;

static void
fail(const char *path)
{
	fprintf(stderr, "replay: %s: %s\n", path, strerror(errno));
	exit(1);
}

/* The buffer has the size of the input, so that ASan sees a read behind its end. */
static void
replay_file(const char *path, size_t size)
{
	FILE *f = fopen(path, "rb");
	uint8_t *data = malloc(size ? size : 1);

	if (!f || !data || fread(data, 1, size, f) != size)
		fail(path);
	fclose(f);
	LLVMFuzzerTestOneInput(data, size);
	free(data);
	inputs++;
}

static void
replay(const char *path)
{
	struct stat st;

	if (stat(path, &st) != 0)
		fail(path);
	if (!S_ISDIR(st.st_mode)) {
		replay_file(path, (size_t)st.st_size);
		return;
	}

	struct dirent **entries;
	int n = scandir(path, &entries, NULL, alphasort);

	if (n < 0)
		fail(path);
	for (int i = 0; i < n; i++) {
		char inner[PATH_MAX];

		if (entries[i]->d_name[0] != '.') {
			snprintf(inner, sizeof(inner), "%s/%s", path, entries[i]->d_name);
			replay(inner);
		}
		free(entries[i]);
	}
	free(entries);
}

int
main(int argc, char **argv)
{
	if (LLVMFuzzerInitialize)
		LLVMFuzzerInitialize(&argc, &argv);
	for (int i = 1; i < argc; i++)
		replay(argv[i]);
	if (argc == 1) {
		const char *top = getenv("srcdir"), *what = strstr(argv[0], "fuzz_");
		char path[PATH_MAX];

		if (!what) {
			fprintf(stderr, "usage: %s FILE|DIRECTORY…\n", argv[0]);
			return 2;
		}
		for (const char *next; (next = strstr(what + 1, "fuzz_")); what = next)
			;
		snprintf(path, sizeof(path), "%s/tests/fuzz/seeds/%s", top ? top : ".",
			 what + strlen("fuzz_"));
		replay(path);
	}
	printf("replay: %d inputs\n", inputs);
	return inputs ? 0 : 1;
}
