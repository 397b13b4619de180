#include "master/build.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "conf/load.h"
#include "master/heritage.h"

enum { PAGE = 4096, SEALS = F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL };

#define FINDINGS_MAX ((size_t)256 << 20)

_Static_assert(sizeof(struct build_answer) <= 512, "one write into the pipe");

static _Noreturn void
too_large(struct arena *a, size_t wanted)
{
	(void)wanted;
	fprintf(stderr, "error: the configuration does not fit into %zu MiB [E522]\n",
		(size_t)(a->home_end - a->home) >> 20);
	fflush(stderr);
	_exit(1);
}

static void
summarise(struct build_answer *answer, const struct diag *d)
{
	answer->errors = (uint32_t)d->errors;
	answer->warnings = (uint32_t)d->warnings;
	answer->files = (uint32_t)d->nfiles;
	snprintf(answer->text, sizeof(answer->text), "%d error%s", d->errors,
		 d->errors == 1 ? "" : "s");
}

/* Loads and compiles into the memory at `at`; findings are printed. */
static struct image *
compile(const char *file, uint64_t generation, uint64_t serving, void *at, size_t room,
	struct shared *shared, const struct build_setup *setup,
	struct build_answer *answer)
{
	struct arena image, findings;
	const struct conf_model *model;
	struct image *made = NULL;
	struct diag d;
	char outcome[64];

	arena_init(&image, at, room, 0);
	image.full = too_large;
	arena_init(&findings, NULL, 0, FINDINGS_MAX);
	diag_init(&d, &findings);
	snprintf(outcome, sizeof(outcome), "Revision %llu keeps serving.",
		 (unsigned long long)serving);
	model = worker_read(file, &image, &d);
	if (model && setup->open && setup->open(setup->arg, &model->gateway, shared) < 0)
		snprintf(answer->text, sizeof(answer->text), "it cannot be set up");
	else {
		made = model ? worker_compile(model, &image, shared, &d) : NULL;
		summarise(answer, &d);
	}
	if (d.errors && serving)
		d.outcome = outcome;
	if (d.errors || d.warnings)
		diag_print(&d, stderr);
	arena_reset(&findings);
	if (!made || d.errors)
		return NULL;
	setup->good(setup->arg, &model->gateway, shared);
	made->magic = IMAGE_MAGIC;
	made->generation = generation;
	made->size = (size_t)(image.at - image.home + PAGE - 1) & ~(size_t)(PAGE - 1);
	return made;
}

static int
seal(const struct build *b, const struct window *w, size_t size)
{
	/* A memfd cannot be sealed while somebody has it mapped to write. */
	window_clear(w, b->slice);
	return ftruncate(b->memfd, (off_t)size) < 0 ||
			       fcntl(b->memfd, F_ADD_SEALS, SEALS) < 0
		       ? -1
		       : 0;
}

static _Noreturn void
builder_main(const struct build *b, struct window *w, const char *file,
	     const struct shared *shared, const struct build_setup *setup)
{
	struct build_answer answer = { .ok = false };
	struct shared mine = *shared;
	struct image *image;

	heritage_enter_builder();
	if (ftruncate(b->memfd, (off_t)w->slice) < 0 ||
	    window_map(w, b->slice, b->memfd, w->slice, true) < 0) {
		log_error("cannot make room for a configuration: %s", strerror(errno));
		_exit(1);
	}
	image = compile(file, b->generation, b->serving, window_at(w, b->slice), w->slice,
			&mine, setup, &answer);
	if (image) {
		answer.image = image;
		answer.size = image->size;
		answer.ok = seal(b, w, image->size) == 0;
		if (!answer.ok)
			snprintf(answer.text, sizeof(answer.text), "cannot seal it: %s",
				 strerror(errno));
	}
	fflush(stderr);
	if (write(b->pipe, &answer, sizeof(answer)) != (ssize_t)sizeof(answer))
		_exit(1);
	_exit(answer.ok ? 0 : 1);
}

static void
give_back(struct build *b, struct window *w)
{
	if (b->memfd >= 0)
		close(b->memfd);
	if (b->slice >= 0)
		window_give(w, b->slice);
	b->memfd = b->slice = -1;
}

int
build_start(struct build *b, struct window *w, const char *file, uint64_t generation,
	    const struct shared *shared, const struct build_setup *setup)
{
	int ends[2], error;

	*b = (struct build){ .pipe = -1, .slice = -1, .generation = generation,
			     .serving = b->serving };
	b->memfd = memfd_create("postern-configuration", MFD_ALLOW_SEALING | MFD_CLOEXEC);
	if (b->memfd < 0 || (b->slice = window_take(w)) < 0 || pipe2(ends, O_CLOEXEC) < 0)
		goto fail;
	fflush(NULL);
	b->pid = fork();
	if (b->pid == 0) {
		close(ends[0]);
		b->pipe = ends[1];
		builder_main(b, w, file, shared, setup);
	}
	close(ends[1]);
	b->pipe = ends[0];
	if (b->pid < 0) {
		close(ends[0]);
		b->pid = 0;
		goto fail;
	}
	b->deadline = clock_ms() + BUILD_TIMEOUT;
	return 0;
fail:
	error = errno;
	give_back(b, w);
	errno = error;
	return -1;
}

void
build_kill(const struct build *b)
{
	if (b->pid > 0)
		kill(b->pid, SIGKILL);
}

/* It closed the pipe without an answer, so that it is dead or about to be; or it took too
 * long. */
static void
say_end(const struct build *b, bool died, char *text, size_t size)
{
	int status = 0;

	if (!died)
		build_kill(b);
	waitpid(b->pid, &status, 0);
	if (!died)
		snprintf(text, size, "building took more than %d s", BUILD_TIMEOUT / 1000);
	else if (WIFSIGNALED(status))
		snprintf(text, size, "the builder was killed by signal %d (%s)", WTERMSIG(status),
			 strsignal(WTERMSIG(status)));
	else
		snprintf(text, size, "the builder exited with status %d", WEXITSTATUS(status));
	log_error("%s", text);
}

void
build_finish(struct build *b, struct window *w, struct build_answer *answer)
{
	struct pollfd p = { .fd = b->pipe, .events = POLLIN };
	bool said = poll(&p, 1, 0) == 1;
	ssize_t n = said ? read(b->pipe, answer, sizeof(*answer)) : 0;

	answer->text[sizeof(answer->text) - 1] = '\0';
	if (n != (ssize_t)sizeof(*answer)) {
		*answer = (struct build_answer){ .ok = false };
		say_end(b, said, answer->text, sizeof(answer->text));
	}
	if (answer->ok && (fcntl(b->memfd, F_GET_SEALS) & SEALS) != SEALS) {
		answer->ok = false;
		snprintf(answer->text, sizeof(answer->text), "the image is not sealed");
	}
	close(b->pipe);
	b->pipe = -1;
	b->pid = 0;
	if (!answer->ok)
		give_back(b, w);
}

const struct image *
build_here(struct window *w, const char *file, struct shared *shared,
	   const struct build_setup *setup)
{
	struct build_answer answer = { .ok = false };
	int slice = window_take(w);
	struct image *image;
	void *at;

	if (slice < 0)
		return NULL;
	at = window_at(w, slice);
	if (mprotect(at, w->slice, PROT_READ | PROT_WRITE) < 0) {
		log_error("cannot make room for a configuration: %s", strerror(errno));
		return NULL;
	}
	image = compile(file, 1, 0, at, w->slice, shared, setup, &answer);
	fflush(stderr);
	if (image)
		mprotect(at, w->slice, PROT_READ);
	return image;
}
