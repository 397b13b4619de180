#include "master/heritage.h"

#include <errno.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/rand.h"
#include "master/keeper/keeper.h"

static const int masters[] = { SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2 };

void
heritage_signals(void)
{
	sigset_t none;

	/* Only what the master set: a sanitizer's handlers stay. */
	for (size_t i = 0; i < sizeof(masters) / sizeof(*masters); i++)
		signal(masters[i], SIG_DFL);
	signal(SIGCHLD, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static void
close_from_to(unsigned from, unsigned to)
{
	struct rlimit limit;

	if (from > to || syscall(SYS_close_range, from, to, 0) == 0)
		return;
	/* Before Linux 5.9. */
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur > 65536)
		limit.rlim_cur = 65536;
	for (unsigned fd = from; fd <= to && fd < limit.rlim_cur; fd++)
		close((int)fd);
}

static int
by_number(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

/* Of the master's descriptors only standard ones, the region's and its own stay: a socket
 * of another slot that is kept open here would never be closed. */
static void
close_others(const struct heritage *h)
{
	size_t n = h->nsockets + 2;
	int *keep = calloc(n, sizeof(*keep)), from = 3;

	if (!keep)
		abort();
	keep[0] = h->channel;
	keep[1] = region_fd(h->shared->region);
	for (size_t i = 0; i < h->nsockets; i++)
		keep[i + 2] = h->sockets[i].fd;
	qsort(keep, n, sizeof(*keep), by_number);
	for (size_t i = 0; i < n; i++) {
		if (keep[i] > from)
			close_from_to((unsigned)from, (unsigned)keep[i] - 1);
		from = keep[i] + 1;
	}
	close_from_to((unsigned)from, ~0u);
	free(keep);
}

static void
clear_others(const struct heritage *h)
{
	for (int i = 0; i < (int)h->window->count; i++)
		if (i != h->slice && window_taken(h->window, i))
			window_clear(h->window, i);
}

static int
run(const struct heritage *h)
{
	if (h->role == SLOT_KEEPER)
		return keeper_run(&(struct keeper_start){
			.row = h->row,
			.channel = h->channel,
			.shared = *h->shared,
			.model = h->image->model,
			.generation = h->image->generation,
			.at = (uint64_t)(uintptr_t)window_at(h->window, h->slice),
			.size = h->image->size });
	return worker_run(&(struct worker_start){
		.number = h->number, .row = h->row, .channel = h->channel, .cpu = h->cpu,
		.shared = *h->shared,
		.image = h->image, .at = (uintptr_t)window_at(h->window, h->slice),
		.size = h->image->size, .sockets = h->sockets, .nsockets = h->nsockets });
}

void
heritage_enter(const struct heritage *h)
{
	const struct conf_gateway *g = &h->image->model->gateway;
	char name[32];

	if (h->role == SLOT_KEEPER)
		snprintf(name, sizeof(name), "keeper");
	else
		snprintf(name, sizeof(name), "worker %u", h->number);
	heritage_signals();
	signal(SIGPIPE, SIG_IGN);
	/* A terminal's Ctrl-C goes to the whole group: what it means is the master's to
	 * say. */
	for (size_t i = 0; i < sizeof(masters) / sizeof(*masters); i++)
		signal(masters[i], SIG_IGN);
	log_setup(name, LOG_LEVEL_INFO);
	close_others(h);
	clear_others(h);
	clock_update();
	rand_reseed();
	h->shared->slots->row[h->row].pid = getpid();
	privs_files(g->max_files);
	privs_pin(h->cpu);
	privs_drop(h->identity, g->core_dumps);
	exit(run(h));
}

void
heritage_enter_builder(void)
{
	heritage_signals();
	signal(SIGPIPE, SIG_IGN);
	/* It holds the master's ends of all channels, by whose end the others learn that
	 * the master is gone. */
	prctl(PR_SET_PDEATHSIG, (unsigned long)SIGKILL, 0L, 0L, 0L);
	/* It has keys and secrets in its heap while it builds. */
	privs_core(false);
	log_setup("builder", LOG_LEVEL_INFO);
	clock_update();
	rand_reseed();
}
