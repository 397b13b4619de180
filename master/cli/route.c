#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "conf/load.h"
#include "master/cli/cli.h"
#include "worker/dryrun.h"
#include "worker/exchange/links.h"
#include "worker/worker.h"

/* postern route — which route takes a request, and why the ones before it do not. */

static const char usage[] =
	"usage: postern route [-c FILE] [-l LISTENER] [-i CLIENT] [-H 'name: value']... [-v] 'GET https://host/path'\n"
	"  Shows what the gateway would do with a request; nothing is sent anywhere.\n"
	"  FILE is " POSTERN_SYSCONFDIR "/postern.conf if not given, LISTENER the first that fits.\n"
	"  -v  name every route that was passed over because of its path\n";

enum { HEADERS = 64, SHOWN = 20 };

#define MEMORY ((size_t)4 << 30)

struct question {
	const char *file, *listener;
	struct dryrun_request ask;
	struct conf_pair header[HEADERS];
	struct conf_pairs headers;
	bool verbose;
};

struct trace {
	struct route_trace trace;       /* first */
	bool verbose;
	unsigned shown, hidden;         /* of those that differ in their path */
};

static void
print_where(struct where w)
{
	if (w.file)
		printf("%s:%u", w.file, w.line);
}

static void
print_route(const struct route *r, const char *verdict)
{
	printf("  %-12.*s %-36.*s %s  ", STR_ARG(r->conf->name), STR_ARG(r->conf->match), verdict);
	print_where(r->conf->match_where);
	putchar('\n');
}

static void
tried(struct route_trace *trace, const struct route *r, enum route_miss miss,
      struct str detail)
{
	struct trace *t = (struct trace *)trace;
	char verdict[200];

	switch (miss) {
	case ROUTE_MISS_PATH:
		if (!t->verbose && t->shown == SHOWN) {
			t->hidden++;
			return;
		}
		t->shown++;
		print_route(r, "no: its path differs");
		break;
	case ROUTE_MISS_METHOD:
		snprintf(verdict, sizeof(verdict), "no: it does not take %.*s", STR_ARG(detail));
		print_route(r, verdict);
		break;
	case ROUTE_MISS_WHEN:
		snprintf(verdict, sizeof(verdict), "no: its condition on %.*s does not hold", STR_ARG(detail));
		print_route(r, verdict);
		break;
	}
}

static void
print_policies(const struct links *links)
{
	printf("policies\n");
	for (uint32_t i = 0; i < links->n; i++) {
		const struct link *l = &links->at[i];
		struct str name = l->conf->name.len ? l->conf->name : STR("(inline)");

		printf("  %-12.*s %-12s from the %s  ", STR_ARG(name), l->policy->conf.name, l->from);
		print_where(l->conf->where);
		putchar('\n');
	}
	if (!links->n)
		printf("  none\n");
}

static void
print_captures(const struct route_match *m)
{
	for (unsigned i = 0; i < m->route->ncaptures; i++)
		printf("  {%.*s} = \"%.*s\"\n", STR_ARG(m->route->capture[i]), STR_ARG(m->value[i]));
}

static void
print_action(const struct dryrun_answer *a)
{
	const struct conf_route *c = a->match.route ? a->match.route->conf : NULL;
	int64_t total = 0;

	printf("result\n");
	if (a->fault) {
		printf("  answers %d %.*s: %.*s\n", a->status, STR_ARG(fault_info[a->fault].reason),
		       STR_ARG(fault_info[a->fault].text));
	} else if (a->location.len) {
		printf("  answers %d, location %.*s\n", a->status, STR_ARG(a->location));
	} else if (a->status) {
		printf("  answers %d\n", a->status);
	} else {
		for (size_t i = 0; i < c->nto; i++)
			total += c->to[i].weight;
		for (size_t i = 0; i < c->nto; i++) {
			printf("  forwards %.*s to %.*s", STR_ARG(a->path), STR_ARG(c->to[i].upstream->name));
			if (c->nto > 1 && total)
				printf(", %.4g %% of requests", 100.0 * (double)c->to[i].weight / (double)total);
			putchar('\n');
		}
	}
}

/* The first lines are printed before the trace, for that prints while it runs. */
static int
answer(const struct image *image, struct question *q, struct arena *scratch)
{
	struct trace trace = { { tried }, .verbose = q->verbose };
	struct dryrun_answer a;

	dryrun_send(image, &q->ask, scratch, NULL, &a);
	if (a.bad) {
		fprintf(stderr, "postern route: %s\n", a.bad);
		return 2;
	}
	printf("listener  %.*s\n", STR_ARG(a.listener->name));
	if (a.match.service) {
		printf("service   %.*s  ", STR_ARG(a.match.service->conf->name));
		print_where(a.match.service->conf->where);
		printf("\nroutes\n");
		dryrun_send(image, &q->ask, scratch, &trace.trace, &a);
		if (trace.hidden)
			printf("  … and %u more whose path differs (-v names them)\n", trace.hidden);
	} else if (a.listener->redirect) {
		printf("service   not asked: this listener redirects to https\n");
	} else {
		printf("service   none for host \"%.*s\"\n", STR_ARG(a.host));
	}
	if (a.match.route) {
		print_route(a.match.route, "yes");
		print_captures(&a.match);
	}
	if (a.fault == FAULT_BAD_METHOD_ROUTE)
		printf("  the path takes %.*s\n", STR_ARG(route_allow(&a.match, scratch)));
	print_policies(a.match.route ? a.match.route->links
		       : a.match.service ? a.match.service->links : image->links);
	print_action(&a);
	return a.fault ? 1 : 0;
}

static int
find_listener(const struct conf_model *m, struct question *q)
{
	if (!q->listener)
		return 0;
	for (size_t i = 0; i < m->nlisteners; i++)
		if (str_eq(m->listeners[i].name, str_of(q->listener)))
			q->ask.listener = &m->listeners[i];
	if (q->ask.listener)
		return 0;
	fprintf(stderr, "postern route: there is no listener \"%s\"\n", q->listener);
	return -1;
}

static int
ask(struct question *q)
{
	struct arena arena, findings;
	struct diag diag;
	const struct conf_model *model;
	const struct image *image = NULL;
	int status = 1;

	clock_update();
	arena_init(&arena, NULL, 0, MEMORY);
	arena_init(&findings, NULL, 0, MEMORY);
	diag_init(&diag, &findings);
	model = worker_read(q->file, &arena, &diag);
	if (model)
		image = worker_image(model, &arena, &diag);
	if (diag.errors)
		diag_print(&diag, stderr);
	if (image && find_listener(model, q) == 0)
		status = answer(image, q, &findings);
	arena_reset(&findings);
	arena_reset(&arena);
	return status;
}

static int
add_header(struct question *q, const char *text)
{
	struct str value = str_of(text), name;

	if (!str_split(&value, ':', &name) || !value.at || !name.len ||
	    q->headers.n == HEADERS)
		return -1;
	q->header[q->headers.n++] =
		(struct conf_pair){ .key = name, .value = str_trim(value) };
	return 0;
}

int
cli_route(int argc, char **argv)
{
	struct question q = { .file = POSTERN_SYSCONFDIR "/postern.conf" };
	static const struct option options[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	q.headers.at = q.header;
	q.ask.headers = &q.headers;
	optind = 1;
	while ((c = getopt_long(argc, argv, "c:l:i:H:vh", options, NULL)) != -1)
		switch (c) {
		case 'c':
			q.file = optarg;
			break;
		case 'l':
			q.listener = optarg;
			break;
		case 'i':
			q.ask.client = str_of(optarg);
			break;
		case 'v':
			q.verbose = true;
			break;
		case 'h':
			fputs(usage, stdout);
			return 0;
		case 'H':
			if (add_header(&q, optarg) == 0)
				break;
			/* fall through */
		default:
			fputs(usage, stderr);
			return 2;
		}
	if (optind != argc - 1) {
		fputs(usage, stderr);
		return 2;
	}
	q.ask.send = str_of(argv[optind]);
	return ask(&q);
}
