/* postern why — what happened to one request, from the rings of all workers, else from
 * the store. */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "master/cli/attach.h"
#include "master/cli/cli.h"
#include "master/cli/record_text.h"
#include "shm/store_records.h"

enum { HITS = 16, PREFIX_MIN = 8 };

static const char usage[] =
	"usage: postern why [-c FILE | --rundir DIR] [--statedir DIR] [-o json] ID\n"
	"\n"
	"Says what happened to a request: routes and policies with their reasons, "
	"attempts, times. ID is what its\n"
	"response says in X-Request-Id, or its first digits (8 or more), or the id that "
	"a trusted peer gave it.\n";

struct hit {
	union {
		struct record record;
		char bytes[RECORD_SIZE_MAX];
	};
};

struct why {
	const char *conf, *rundir_given, *statedir_given;
	bool json;
	struct str id;    /* as asked for */
	bool digits;      /* it can be (the front of) a number of ours */
	uint64_t word[2]; /* that number, zeros behind */
	char rundir[PATH_MAX], statedir[PATH_MAX];
	const struct region *region; /* NULL: none */
	struct shared shared;
	struct hit *hit;   /* the newest HITS */
	size_t n, more;    /* those that found no room */
	int64_t oldest[2]; /* ms since 1970, by enum ring_which; 0: nothing is there */
};

/* ---- what is asked for */

static void
take_id(struct why *w, struct str id)
{
	w->id = id;
	w->digits = id.len >= PREFIX_MIN && id.len <= 32;
	for (size_t i = 0; i < id.len && w->digits; i++) {
		unsigned char c = char_lower((unsigned char)id.at[i]);
		static const char digits[] = "0123456789abcdef";
		const char *d = c ? strchr(digits, c) : NULL;

		if (d)
			w->word[i / 16] |= (uint64_t)(d - digits) << (60 - i % 16 * 4);
		else
			w->digits = false;
	}
}

static uint64_t
front_mask(size_t digits)
{
	return digits >= 16 ? UINT64_MAX : digits ? ~(UINT64_MAX >> digits * 4) : 0;
}

static bool
is_it(const struct why *w, const struct record *r)
{
	struct str given = record_texts(r).id;

	if (given.len && str_eq(given, str_first(w->id, 64)))
		return true;
	return w->digits && (r->id[0] & front_mask(w->id.len)) == w->word[0] &&
	       (r->id[1] & front_mask(w->id.len > 16 ? w->id.len - 16 : 0)) == w->word[1];
}

/* ---- in memory */

static void
keep(struct why *w, const struct record *r)
{
	struct hit *oldest = &w->hit[0];

	for (size_t i = 0; i < w->n; i++) {
		const struct record *k = &w->hit[i].record;

		if (k->id[0] == r->id[0] && k->id[1] == r->id[1])
			return; /* it is in both rings */
		if (k->at < oldest->record.at)
			oldest = &w->hit[i];
	}
	if (w->n < HITS)
		oldest = &w->hit[w->n++];
	else if (w->more++, r->at < oldest->record.at)
		return;
	memcpy(oldest->bytes, r, r->size);
}

static void
search_ring(struct why *w, const struct ring *ring, enum ring_which which)
{
	struct hit fresh;
	uint64_t cursor = 0, end = ring_end(ring, which), lost;
	int n;

	/* What is written meanwhile is not waited for. */
	while ((!cursor || cursor < end) &&
	       (n = ring_read(ring, which, &cursor, fresh.bytes, sizeof(fresh), &lost)) !=
		       0) {
		if (n < 0)
			continue;
		if (!w->oldest[which] || fresh.record.at < w->oldest[which])
			w->oldest[which] = fresh.record.at;
		if (is_it(w, &fresh.record))
			keep(w, &fresh.record);
	}
}

static void
search_rings(struct why *w)
{
	for (int i = 0; w->region && i < SLOTS_MAX; i++) {
		const struct ring *ring = ring_of_const(w->shared.rings, i);

		if (!region_touched(w->region, ring, RING_BYTES))
			continue;
		search_ring(w, ring, RING_ALL);
		search_ring(w, ring, RING_KEPT);
	}
}

static int
by_time(const void *a, const void *b)
{
	const struct hit *x = a, *y = b;

	return (x->record.at < y->record.at) - (x->record.at > y->record.at);
}

/* ---- in the store */

static struct str
name_in_store(const struct record_view *v, uint32_t series)
{
	const struct stored_record *s = v->names;

	return s->name(s, series);
}

static void
show(const struct why *w, const struct record_view *v)
{
	if (w->json)
		record_json(v, stdout);
	else
		record_story(v, stdout);
}

static void
stored(void *arg, const struct stored_record *s)
{
	const struct why *w = arg;
	const struct record *r = s->record;
	struct record_view v = { r, record_texts(r), record_notes(r), name_in_store, s };

	show(w, &v);
}

/* 1: found and shown; 0: it is not there; -1: nobody knows, said. */
static int
search_store(struct why *w)
{
	char path[PATH_MAX + 8];
	const char *error = NULL;
	enum store_failure failure;
	struct store *s;
	int found;

	snprintf(path, sizeof(path), "%s/state", w->statedir);
	s = store_open(path, true, &error, &failure);
	if (!s) {
		fprintf(stderr, "postern why: the store cannot be asked: %s\n",
			error ? error : strerror(errno));
		return -1;
	}
	found = store_record_find(s, w->word, w->id, stored, w);
	if (found < 0)
		fprintf(stderr, "postern why: the store cannot be read: %s\n",
			store_error(s));
	store_close(s);
	return found;
}

/* ---- answering */

static int
show_hits(struct why *w)
{
	bool whole = !w->digits || w->id.len == 32;
	struct record_view v;

	qsort(w->hit, w->n, sizeof(*w->hit), by_time);
	for (size_t i = 0; i < w->n && (i == 0 || w->json); i++) {
		v = record_view(&w->hit[i].record, &w->shared.stats);
		if (whole || w->n == 1)
			show(w, &v);
	}
	if (w->n == 1 || w->json)
		return 0;
	if (whole)
		printf("\nolder ones with the same id:\n");
	for (size_t i = whole; i < w->n; i++) {
		v = record_view(&w->hit[i].record, &w->shared.stats);
		record_line(&v, stdout);
	}
	if (w->more)
		printf("and %zu more\n", w->more);
	if (whole)
		return 0;
	fprintf(stderr,
		"postern why: these all begin with %.*s\nNext: postern why with more of "
		"its digits\n",
		STR_ARG(w->id));
	return 1;
}

static void
say_age(const struct why *w)
{
	char all[32], kept[32];

	if (!w->region || !w->oldest[RING_ALL])
		return;
	record_time(w->oldest[RING_ALL], all);
	record_time(w->oldest[RING_KEPT] ? w->oldest[RING_KEPT] : w->oldest[RING_ALL],
		    kept);
	fprintf(stderr,
		"What is remembered begins at %s; of refusals and errors, at %s.\n", all,
		kept);
}

static int
not_found(const struct why *w, int store)
{
	if (!w->digits && w->id.len < PREFIX_MIN)
		fprintf(stderr,
			"postern why: nothing is known of \"%.*s\"; of an id the first 8 "
			"digits are needed\n",
			STR_ARG(w->id));
	else if (w->region)
		fprintf(stderr,
			"postern why: nothing is known of %.*s: it was never here, is "
			"still under way, or "
			"was overwritten by later ones\n",
			STR_ARG(w->id));
	else
		fprintf(stderr,
			"postern why: no gateway has run in %s since the machine "
			"started, and %s\n",
			w->rundir,
			store < 0 ? "the store cannot be asked"
				  : "the store knows nothing of that request");
	say_age(w);
	fprintf(stderr, "Next: grep the access log for it, or catch the next one: "
			"postern trace 'status>=400'\n");
	return 1;
}

static int
answer(struct why *w)
{
	int store = 0;

	search_rings(w);
	if (w->n)
		return show_hits(w);
	/* The store knows whole ids only. */
	if (!w->digits || w->id.len == 32)
		store = search_store(w);
	return store > 0 ? 0 : not_found(w, store);
}

/* ---- where */

static void
take_dir(char to[static PATH_MAX], struct str dir)
{
	if (dir.len && dir.len < PATH_MAX)
		snprintf(to, PATH_MAX, "%.*s", STR_ARG(dir));
}

/* Of the configuration, if it can be read: else the usual one. */
static void
find_statedir(struct why *w)
{
	const char *file = w->conf ? w->conf : POSTERN_SYSCONFDIR "/postern.conf";
	struct attach_places p;

	take_dir(w->statedir, str_of(POSTERN_STATEDIR));
	if (w->statedir_given)
		take_dir(w->statedir, str_of(w->statedir_given));
	else if (attach_places("why", file, false, &p) == 0)
		take_dir(w->statedir, str_of(p.statedir));
}

/* Without a gateway that runs the store may still know. -1: said. */
static int
find_region(struct why *w)
{
	if (attach_rundir("why", w->conf, w->rundir_given, w->rundir) < 0)
		return -1;
	w->region = attach_quietly(w->rundir);
	if (w->region)
		return attach_shared("why", w->rundir, w->region, &w->shared);
	if (errno == ENOENT || errno == ENOTDIR || errno == ESTALE)
		return 0;
	attach_region("why", w->rundir); /* says what is wrong */
	return -1;
}

/* The exit status, or -1 to go on. */
static int
take_args(struct why *w, int argc, char **argv)
{
	static const struct option options[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "rundir", required_argument, NULL, 'r' },
		{ "statedir", required_argument, NULL, 's' },
		{ "output", required_argument, NULL, 'o' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	optind = 1;
	while ((c = getopt_long(argc, argv, "c:o:h", options, NULL)) != -1)
		switch (c) {
		case 'c':
			w->conf = optarg;
			break;
		case 'r':
			w->rundir_given = optarg;
			break;
		case 's':
			w->statedir_given = optarg;
			break;
		case 'o':
			w->json = strcmp(optarg, "json") == 0;
			if (w->json || strcmp(optarg, "text") == 0)
				break;
			fprintf(stderr,
				"postern why: there is no output \"%s\": text, json\n",
				optarg);
			return 2;
		case 'h':
			fputs(usage, stdout);
			return 0;
		default:
			fputs(usage, stderr);
			return 2;
		}
	if (optind != argc - 1 || !*argv[optind]) {
		fputs(usage, stderr);
		return 2;
	}
	take_id(w, str_of(argv[optind]));
	return -1;
}

int
cli_why(int argc, char **argv)
{
	struct why w = { 0 };
	int status = take_args(&w, argc, argv);

	if (status >= 0)
		return status;
	if (find_region(&w) < 0)
		return 1;
	find_statedir(&w);
	w.hit = calloc(HITS, sizeof(*w.hit));
	if (!w.hit)
		abort();
	status = answer(&w);
	free(w.hit);
	if (w.region)
		region_close((struct region *)(uintptr_t)w.region);
	if (fflush(stdout) == EOF) {
		fprintf(stderr, "postern why: cannot write: %s\n", strerror(errno));
		return 1;
	}
	return status;
}
