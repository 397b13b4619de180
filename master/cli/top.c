#include "master/cli/top.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "master/cli/attach.h"
#include "master/cli/cli.h"

enum { FIRST_LOOK_MS = 300, WIDTH_MOST = 400 };

struct top {
	const char *conf, *dir;         /* as asked for */
	char rundir[PATH_MAX];
	const struct region *region;
	struct stat_view view[2];       /* now and before, in turn */
	bool seen[2];
	int now;
	struct top_frame frame;
	struct top_look look;
	struct top_text text;
	uint64_t delay;                 /* ms */
	uint64_t frames;                /* -b: how many; 0: without end */
	bool batch;
};

static int
usage(FILE *out, int status)
{
	fputs("usage: postern top [-c FILE | --rundir DIR] [-d SECONDS] [-b [N]] [-s ORDER] [-p PANE]\n"
	      "\n"
	      "Shows what the gateway that runs with FILE (default " POSTERN_SYSCONFDIR "/postern.conf) or in\n"
	      "DIR (default /run/postern) does, once a second: services, routes, targets, consumers,\n"
	      "processes, policies. Keys: q quits, h tells of the others.\n"
	      "  -d, --delay SECONDS  between two looks, 0.1 to 3600\n"
	      "  -b, --batch[=N]      no screen: N frames (without N: for ever) as plain text\n"
	      "  -s, --sort ORDER     rate, latency or errors\n"
	      "  -p, --pane PANE      one pane only: services, routes, targets, consumers, processes, policies\n",
	      out);
	return status;
}

static int
wrong(const char *what, const char *word)
{
	fprintf(stderr, "postern top: \"%s\" is not %s\n", word, what);
	return usage(stderr, 2);
}

static bool
parse_delay(const char *text, uint64_t *ms)
{
	char *end;
	double s = strtod(text, &end);

	if (end == text || *end || !(s >= 0.1 && s <= 3600))
		return false;
	*ms = (uint64_t)(s * 1000);
	return true;
}

static bool
parse_word(const char *text, const char *const *words, int n, int *which)
{
	for (int i = 0; i < n; i++)
		if (strcmp(text, words[i]) == 0) {
			*which = i;
			return true;
		}
	return false;
}

static bool
parse_pane(const char *text, enum top_pane *pane)
{
	for (int i = 0; i < TOP_PANES; i++)
		if (strcmp(text, top_layouts[i].name) == 0) {
			*pane = (enum top_pane)i;
			return true;
		}
	return false;
}

/* -1: go on; else the exit status. */
static int
parse_args(int argc, char **argv, struct top *t)
{
	static const char *const sorts[] = { "rate", "latency", "errors" };
	static const struct option options[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "rundir", required_argument, NULL, 'r' },
		{ "delay", required_argument, NULL, 'd' },
		{ "batch", optional_argument, NULL, 'b' },
		{ "sort", required_argument, NULL, 's' },
		{ "pane", required_argument, NULL, 'p' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	unsigned long long n;
	int c, which = 0;

	optind = 1;
	while ((c = getopt_long(argc, argv, "c:d:b::s:p:h", options, NULL)) != -1)
		switch (c) {
		case 'c':
			t->conf = optarg;
			break;
		case 'r':
			t->dir = optarg;
			break;
		case 'd':
			if (!parse_delay(optarg, &t->delay))
				return wrong("a number of seconds from 0.1 to 3600", optarg);
			break;
		case 'b':
			t->batch = true;
			if (!optarg && optind < argc && *argv[optind] != '-')
				optarg = argv[optind++];
			n = 0;
			if (optarg && (!str_u64(str_of(optarg), 1000000000, &n) || !n))
				return wrong("a number of frames", optarg);
			t->frames = n;
			break;
		case 's':
			if (!parse_word(optarg, sorts, TOP_SORTS, &which))
				return wrong("rate, latency or errors", optarg);
			t->look.sort = (enum top_sort)which;
			break;
		case 'p':
			if (!parse_pane(optarg, &t->look.pane))
				return wrong("a pane", optarg);
			break;
		case 'h':
			return usage(stdout, 0);
		default:
			return usage(stderr, 2);
		}
	if (optind < argc) {
		fprintf(stderr, "postern top: \"%s\" is one word too many\n", argv[optind]);
		return usage(stderr, 2);
	}
	return -1;
}

/* ---- looking */

static void
forget(struct top *t)
{
	for (int i = 0; i < 2; i++) {
		if (t->seen[i])
			stat_forget(&t->view[i]);
		t->seen[i] = false;
	}
	top_frame_free(&t->frame);
}

/* A gateway that starts after a damage, or with another layout, or in a new directory,
 * makes another region: what was seen of the old one counts no more. */
static void
follow(struct top *t)
{
	const struct region *fresh;
	struct shared shared;

	if (attach_same(t->rundir, t->region))
		return;
	fresh = attach_quietly(t->rundir);
	if (!fresh)
		return;
	if (shared_find(&shared, fresh) < 0) {
		/* Just being made, or another version's: next time. */
		region_close((struct region *)(uintptr_t)fresh);
		return;
	}
	forget(t);
	region_close((struct region *)(uintptr_t)t->region);
	t->region = fresh;
	t->view[0].shared = t->view[1].shared = shared;
}

static void
look(struct top *t)
{
	int before;

	follow(t);
	before = t->now;
	t->now = !t->now;
	top_frame_free(&t->frame);
	if (t->seen[t->now])
		stat_forget(&t->view[t->now]);
	stat_gather(&t->view[t->now]);
	t->seen[t->now] = true;
	top_frame_make(&t->frame, t->seen[before] ? &t->view[before] : NULL,
		       &t->view[t->now]);
	top_frame_sort(&t->frame, t->look.sort);
	t->look.notice = t->view[t->now].processes ? NULL : "no gateway runs here now";
}

static uint64_t
now_ms(void)
{
	struct timespec at;

	clock_gettime(CLOCK_MONOTONIC, &at);
	return (uint64_t)at.tv_sec * 1000 + (uint64_t)at.tv_nsec / 1000000;
}

/* ---- without a screen */

static void
sleep_ms(uint64_t ms)
{
	struct timespec at = { (time_t)(ms / 1000), (long)(ms % 1000) * 1000000L };

	while (nanosleep(&at, &at) < 0 && errno == EINTR)
		;
}

static int
run_batch(struct top *t)
{
	signal(SIGPIPE, SIG_IGN);
	t->look.width = WIDTH_MOST;
	t->look.height = 0;
	look(t);
	for (uint64_t n = 0; !t->frames || n < t->frames; n++) {
		sleep_ms(t->delay);
		look(t);
		top_draw(&t->frame, &t->view[t->now], &t->look, &t->text);
		if (n)
			putchar('\n');
		fwrite(t->text.at, 1, t->text.len, stdout);
		if (fflush(stdout) == EOF)
			return errno == EPIPE ? 0 : 1;
	}
	return 0;
}

/* ---- on a screen */

static void
scroll(struct top *t, long by)
{
	size_t most = top_scroll_most(&t->frame, &t->look);
	long to = (long)t->look.scroll + by;

	if (to < 0)
		to = 0;
	t->look.scroll = (size_t)to < most ? (size_t)to : most;
}

static void
choose_pane(struct top *t, int to)
{
	t->look.pane = (enum top_pane)((to + TOP_PANES + 1) % (TOP_PANES + 1));
	t->look.scroll = 0;
	t->look.help = false;
}

/* false: it is over. */
static bool
obey(struct top *t, int key)
{
	int page = t->look.height > 6 ? t->look.height - 6 : 1;

	switch (key) {
	case TOP_KEY_QUIT:
		return false;
	case TOP_KEY_TAB:
		/* All of them stand before the first. */
		choose_pane(t, (int)t->look.pane + 1);
		break;
	case TOP_KEY_BACKTAB:
		choose_pane(t, (int)t->look.pane - 1);
		break;
	case TOP_KEY_SORT:
		t->look.sort = (enum top_sort)((t->look.sort + 1) % TOP_SORTS);
		top_frame_sort(&t->frame, t->look.sort);
		break;
	case TOP_KEY_PAUSE:
		t->look.paused = !t->look.paused;
		break;
	case TOP_KEY_HELP:
		t->look.help = !t->look.help;
		break;
	case TOP_KEY_UP:
		scroll(t, -1);
		break;
	case TOP_KEY_DOWN:
		scroll(t, 1);
		break;
	case TOP_KEY_PAGE_UP:
		scroll(t, -page);
		break;
	case TOP_KEY_PAGE_DOWN:
		scroll(t, page);
		break;
	case TOP_KEY_HOME:
		t->look.scroll = 0;
		break;
	case TOP_KEY_END:
		t->look.scroll = top_scroll_most(&t->frame, &t->look);
		break;
	default:
		if (key >= TOP_KEY_PANE && key <= TOP_KEY_PANE + TOP_PANES)
			choose_pane(t, key == TOP_KEY_PANE ? TOP_ALL
							   : key - TOP_KEY_PANE - 1);
	}
	return true;
}

static int
show(struct top *t)
{
	top_terminal_size(&t->look.width, &t->look.height);
	if (t->look.width > WIDTH_MOST)
		t->look.width = WIDTH_MOST;
	scroll(t, 0);
	top_draw(&t->frame, &t->view[t->now], &t->look, &t->text);
	return top_terminal_show(&t->text, t->look.height);
}

static int
run_screen(struct top *t)
{
	const char *no = getenv("NO_COLOR");
	uint64_t next;

	t->look.colour = !no || !*no;
	if (top_terminal_open() < 0) {
		fprintf(stderr, "postern top: the terminal cannot be used: %s\n"
			"Next: postern top -b 1\n", strerror(errno));
		return 1;
	}
	look(t);
	next = now_ms() + (t->delay < FIRST_LOOK_MS ? t->delay : FIRST_LOOK_MS);
	for (;;) {
		uint64_t now;

		if (show(t) < 0)
			break;
		now = now_ms();
		if (!obey(t, top_terminal_key(next > now ? (int)(next - now) : 0)))
			break;
		if (now_ms() < next)
			continue;
		if (!t->look.paused)
			look(t);
		next = now_ms() + t->delay;
	}
	top_terminal_close();
	return 0;
}

static int
without_terminal(void)
{
	fputs("postern top: there is no terminal to show it on\n"
	      "Next: postern top -b 1\n", stderr);
	return 1;
}

int
cli_top(int argc, char **argv)
{
	struct top t = { .delay = 1000, .look = { .pane = TOP_ALL } };
	int status = parse_args(argc, argv, &t);

	if (status >= 0)
		return status;
	if (!t.batch && (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO)))
		return without_terminal();
	if (attach_rundir("top", t.conf, t.dir, t.rundir) < 0)
		return 1;
	t.region = attach_region("top", t.rundir);
	if (!t.region || attach_shared("top", t.rundir, t.region, &t.view[0].shared) < 0)
		return 1;
	t.view[1].shared = t.view[0].shared;
	t.view[0].rundir = t.view[1].rundir = t.rundir;
	/* A terminal that cannot place text gets one frame below the other. */
	if (t.batch || !top_terminal_able())
		status = run_batch(&t);
	else
		status = run_screen(&t);
	forget(&t);
	free(t.text.at);
	region_close((struct region *)(uintptr_t)t.region);
	return status;
}
