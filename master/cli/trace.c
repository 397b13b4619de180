/* postern trace — requests as they end, by tailing the rings of all workers. */
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "master/cli/attach.h"
#include "master/cli/cli.h"
#include "master/cli/query.h"

enum { POLL_MS = 20, LOOK_AGAIN = 50 }; /* turns between looks at the region's file */

static const char usage[] = "usage: postern trace [-c FILE | --rundir DIR] [-n COUNT] "
			    "[--long | -o json] [QUERY]\n"
			    "\n"
			    "Shows requests as they end, until Ctrl-C or COUNT of them. "
			    "QUERY: terms that must all hold, such as\n"
			    "  'route=orders-api/* status>=500'    'consumer=acme "
			    "slow>300ms'    'policy=by-plan status=429'\n"
			    "Texts (= !=, * for anything): service route consumer plan "
			    "method host path client reason policy\n"
			    "target id. Numbers (= != < <= > >=): status (404, 5xx), "
			    "slow (how long it took: 300ms, 1.5s, 800us).\n";

struct trace {
	const char *conf, *rundir;
	const struct region *region;
	struct shared shared;
	char text[4096]; /* of the query, which points into it */
	struct query query;
	void (*print)(const struct record_view *, FILE *);
	uint64_t shown;       /* so far */
	uint64_t count, left; /* asked for (0: no end), still to come */
	uint64_t lost;        /* bytes overwritten before they were read */
	uint64_t cursor[SLOTS_MAX];
};

/* Everything that is written from now on. A row that nobody has used yet is read from its
 * front. */
static void
from_now_on(struct trace *t)
{
	for (int i = 0; i < SLOTS_MAX; i++) {
		const struct ring *ring = ring_of_const(t->shared.rings, i);

		if (region_touched(t->region, ring, RING_BYTES))
			t->cursor[i] = ring_end(ring, RING_ALL);
	}
}

static bool
done(const struct trace *t)
{
	return t->count && !t->left;
}

static bool
read_row(struct trace *t, int row)
{
	const struct ring *ring = ring_of_const(t->shared.rings, row);
	union {
		struct record record;
		char bytes[RECORD_SIZE_MAX];
	} buf;
	bool any = false;

	if (!region_touched(t->region, ring, RING_BYTES))
		return false;
	/* Not longer than a ring: the others have their turn too. */
	for (int i = 0; i < RING_BYTES / (int)sizeof(struct record) && !done(t); i++) {
		struct record_view v;
		uint64_t lost = 0;
		int n = ring_read(ring, RING_ALL, &t->cursor[row], buf.bytes, sizeof(buf),
				  &lost);

		if (n == 0)
			break;
		t->lost += lost;
		if (n < 0)
			continue;
		v = record_view(&buf.record, &t->shared.stats);
		if (!query_takes(&t->query, &v))
			continue;
		if (t->shown++ && t->print == record_story)
			putchar('\n');
		t->print(&v, stdout);
		any = true;
		t->left--;
	}
	return any;
}

/* Whether the other end of a pipe has gone, though nothing is to be written. */
static bool
nobody_reads(void)
{
	struct pollfd p = { .fd = STDOUT_FILENO, .events = 0 };

	return poll(&p, 1, 0) > 0 && p.revents & (POLLERR | POLLNVAL);
}

/* A gateway that found the region damaged, or of another layout, has made another one. */
static void
look_again(struct trace *t)
{
	const struct region *fresh;
	struct shared s;

	if (attach_same(t->rundir, t->region))
		return;
	fresh = attach_quietly(t->rundir);
	if (!fresh)
		return;
	if (shared_find(&s, fresh) < 0) {
		region_close((struct region *)(uintptr_t)fresh);
		return;
	}
	region_close((struct region *)(uintptr_t)t->region);
	t->region = fresh;
	t->shared = s;
	memset(t->cursor, 0, sizeof(t->cursor));
}

static int
follow(struct trace *t)
{
	const struct timespec wait = { .tv_nsec = POLL_MS * 1000000l };
	sigset_t stop;

	sigemptyset(&stop);
	sigaddset(&stop, SIGINT);
	sigaddset(&stop, SIGTERM);
	sigprocmask(SIG_BLOCK, &stop, NULL);
	from_now_on(t);
	signal(SIGPIPE, SIG_IGN);
	for (unsigned turn = 1;; turn++) {
		bool any = false;

		for (int i = 0; i < SLOTS_MAX && !done(t); i++)
			any |= read_row(t, i);
		if (any && fflush(stdout) == EOF)
			return errno == EPIPE ? 0 : -1;
		if (done(t) || nobody_reads() || sigtimedwait(&stop, NULL, &wait) > 0)
			return 0;
		if (turn % LOOK_AGAIN == 0)
			look_again(t);
	}
}

static void
say_error(const char *query, const struct query_error *e)
{
	fprintf(stderr, "postern trace: %s\n  %s\n  %*s^\nNext: postern trace --help\n",
		e->text, query, (int)e->at, "");
}

/* The words of the query may come as one or as many. -1: said. */
static int
take_query(struct trace *t, char **words, int n)
{
	struct query_error error;
	size_t len = 0;

	for (int i = 0; i < n; i++) {
		size_t more = strlen(words[i]);

		if (len + more + 2 > sizeof(t->text)) {
			fprintf(stderr,
				"postern trace: the query is longer than %zu bytes\n",
				sizeof(t->text));
			return -1;
		}
		if (i)
			t->text[len++] = ' ';
		memcpy(t->text + len, words[i], more + 1);
		len += more;
	}
	if (query_parse((struct str){ t->text, len }, &t->query, &error) == 0)
		return 0;
	say_error(t->text, &error);
	return -1;
}

static bool
take_output(struct trace *t, const char *name)
{
	if (strcmp(name, "json") == 0)
		t->print = record_json;
	else if (strcmp(name, "line") == 0)
		t->print = record_line;
	else if (strcmp(name, "long") == 0)
		t->print = record_story;
	else
		return false;
	return true;
}

/* The exit status, or -1 to go on. */
static int
take_args(struct trace *t, int argc, char **argv)
{
	static const struct option options[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "rundir", required_argument, NULL, 'r' },
		{ "count", required_argument, NULL, 'n' },
		{ "output", required_argument, NULL, 'o' },
		{ "long", no_argument, NULL, 'l' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	unsigned long long n;
	int c;

	optind = 1;
	while ((c = getopt_long(argc, argv, "c:n:o:lh", options, NULL)) != -1)
		switch (c) {
		case 'c':
			t->conf = optarg;
			break;
		case 'r':
			t->rundir = optarg;
			break;
		case 'l':
			t->print = record_story;
			break;
		case 'n':
			if (str_u64(str_of(optarg), UINT64_MAX, &n) && n) {
				t->count = t->left = n;
				break;
			}
			fprintf(stderr,
				"postern trace: \"%s\" is not a number of requests\n",
				optarg);
			return 2;
		case 'o':
			if (take_output(t, optarg))
				break;
			fprintf(stderr,
				"postern trace: there is no output \"%s\": line, long, "
				"json\n",
				optarg);
			return 2;
		case 'h':
			fputs(usage, stdout);
			return 0;
		default:
			fputs(usage, stderr);
			return 2;
		}
	return take_query(t, argv + optind, argc - optind) < 0 ? 2 : -1;
}

int
cli_trace(int argc, char **argv)
{
	struct trace t = { .print = record_line };
	char dir[PATH_MAX];
	int status = take_args(&t, argc, argv);

	if (status >= 0)
		return status;
	if (attach_rundir("trace", t.conf, t.rundir, dir) < 0)
		return 1;
	t.rundir = dir;
	t.region = attach_region("trace", dir);
	if (!t.region || attach_shared("trace", dir, t.region, &t.shared) < 0)
		return 1;
	status = follow(&t) < 0;
	if (status)
		fprintf(stderr, "postern trace: cannot write: %s\n", strerror(errno));
	if (t.lost)
		fprintf(stderr,
			"postern trace: %llu bytes of records were overwritten before "
			"they could "
			"be read: too many requests at once\n",
			(unsigned long long)t.lost);
	region_close((struct region *)(uintptr_t)t.region);
	return status;
}
