#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>

#include "master/cli/top.h"

enum { NAME_LEAST = 10, NAME_MOST = 44, COLUMN = 8 };

#define BOLD "\033[1m"
#define RED "\033[31m"
#define DIM "\033[2m"
#define REVERSE "\033[7m"

struct canvas {
	struct top_text *text;
	const struct top_look *look;
	int lines;                      /* done */
	int used;                       /* columns of the line that is begun */
};

/* ---- writing */

static void
text_add(struct top_text *t, const char *at, size_t n)
{
	if (t->len + n > t->room) {
		size_t room = 2 * (t->len + n) + 1024;
		char *more = realloc(t->at, room);

		if (!more)
			return;
		t->at = more;
		t->room = room;
	}
	memcpy(t->at + t->len, at, n);
	t->len += n;
}

static void
style(struct canvas *c, const char *how)
{
	if (c->look->colour && *how)
		text_add(c->text, how, strlen(how));
}

/* Names are a configuration's, or a client's: what is no printable ASCII is one "?" a
 * character. */
static void
put(struct canvas *c, struct str s)
{
	for (size_t i = 0; i < s.len && c->used < c->look->width; i++) {
		unsigned char b = (unsigned char)s.at[i];

		if ((b & 0xc0) == 0x80)
			continue;
		text_add(c->text, b >= 0x20 && b < 0x7f ? (const char *)&s.at[i] : "?",
			 1);
		c->used++;
	}
}

static void __attribute__((format(printf, 3, 4)))
putf(struct canvas *c, const char *how, const char *fmt, ...)
{
	char buf[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(buf, sizeof(buf), fmt, ap);
	va_end(ap);
	style(c, how);
	put(c, str_of(buf));
	if (*how)
		style(c, "\033[0m");
}

static void
pad(struct canvas *c, int to)
{
	while (c->used < to && c->used < c->look->width)
		put(c, STR(" "));
}

static void
line_end(struct canvas *c)
{
	text_add(c->text, "\n", 1);
	c->lines++;
	c->used = 0;
}

/* ---- numbers */

static void
scaled(double v, double step, const char *units, char buf[static 32])
{
	while (v >= step * 0.9995 && units[1]) {
		v /= step;
		units++;
	}
	if (*units == ' ')
		snprintf(buf, 32, v < 9.95 && v != (double)(uint64_t)v ? "%.1f" : "%.0f",
			 v);
	else
		snprintf(buf, 32, v < 99.95 ? "%.1f%c" : "%.0f%c", v, *units);
}

const char *
top_number(enum top_unit unit, double v, char buf[static 32])
{
	if (v < 0) {
		snprintf(buf, 32, "-");
		return buf;
	}
	switch (unit) {
	case TOP_TIME:
		if (v < 999.5)
			snprintf(buf, 32, "%.0fus", v);
		else if (v < 999500)
			snprintf(buf, 32, v < 99950 ? "%.1fms" : "%.0fms", v / 1000);
		else if (v < 99950000)
			snprintf(buf, 32, "%.1fs", v / 1e6);
		else
			snprintf(buf, 32, v < 36e8 ? "%.0fs" : ">1h", v / 1e6);
		break;
	case TOP_SHARE:
		snprintf(buf, 32, "%.0f%%", v * 100);
		break;
	case TOP_BYTES:
		scaled(v, 1024, " KMGTP", buf);
		break;
	default:
		/* Up to five digits are read more easily as they are. */
		if (v >= 9.95 && v < 99999.5)
			snprintf(buf, 32, "%.0f", v);
		else
			scaled(v, 1000, " kMGTP", buf);
	}
	return buf;
}

/* ---- the header: pieces that go to the next line as a whole when the line is full */

static void __attribute__((format(printf, 4, 5)))
piece(struct canvas *c, const char *how, const char *label, const char *fmt, ...)
{
	char buf[128];
	va_list ap;
	int need;

	va_start(ap, fmt);
	vsnprintf(buf, sizeof(buf), fmt, ap);
	va_end(ap);
	need = (int)(strlen(label) + strlen(buf)) + (*label != 0);
	if (c->used && c->used + 2 + need > c->look->width)
		line_end(c);
	if (c->used)
		put(c, STR("  "));
	if (*label)
		putf(c, "", "%s ", label);
	putf(c, how, "%s", buf);
}

static void
header_state(struct canvas *c, const struct top_frame *f, const struct stat_view *v)
{
	const struct control *control = v->shared.control;
	uint64_t revision = control->revision, deaths = control->worker_deaths;
	bool bad = control->store_state == STORE_BAD ||
		   control->store_state == STORE_READONLY;
	char span[32];

	putf(c, BOLD, "postern");
	if (c->look->notice)
		piece(c, RED, "", "%s", c->look->notice);
	else if (f->uptime)
		piece(c, "", "up", "%s", stat_span(f->uptime, span));
	if (c->look->paused)
		piece(c, REVERSE, "", "PAUSED");
	piece(c, "", "revision", "%" PRIu64, revision);
	if (control->reloads_ok + control->reloads_failed && !control->reload_good)
		piece(c, RED, "", "last reload failed");
	piece(c, "", "workers", "%d", v->workers);
	if (deaths)
		piece(c, "", "died", "%" PRIu64, deaths);
	piece(c, bad ? RED : "", "store", "%s", stat_store(v));
	if (!c->look->height)
		piece(c, "", "", "%s", v->rundir);
	line_end(c);
}

static void
header(struct canvas *c, const struct top_frame *f, const struct stat_view *v)
{
	char buf[32];

	header_state(c, f, v);
	piece(c, BOLD, "req/s", "%s", top_number(TOP_RATE, f->requests, buf));
	piece(c, "", "4xx/s", "%s", top_number(TOP_RATE, f->bad4, buf));
	piece(c, f->bad5 > 0 ? RED : "", "5xx/s", "%s",
	      top_number(TOP_RATE, f->bad5, buf));
	piece(c, "", "p50", "%s", top_number(TOP_TIME, f->p50, buf));
	piece(c, "", "p95", "%s", top_number(TOP_TIME, f->p95, buf));
	piece(c, "", "p99", "%s", top_number(TOP_TIME, f->p99, buf));
	piece(c, "", "conns", "%s", top_number(TOP_COUNT, (double)v->connections, buf));
	piece(c, "", "active", "%s", top_number(TOP_COUNT, (double)v->exchanges, buf));
	piece(c, "", "upconns", "%s",
	      top_number(TOP_COUNT, (double)v->upstream_connections, buf));
	line_end(c);
}

/* ---- panes */

static struct str
row_name(const struct top_row *r, char buf[static 64])
{
	const struct stat_process *p = r->process;
	int n;

	if (!p)
		return r->name;
	if (p->role == SLOT_WORKER)
		n = snprintf(buf, 64, "worker %" PRIu32, p->number);
	else
		n = snprintf(buf, 64, "%s", stat_role(p));
	if (p->state == SLOT_SERVING)
		snprintf(buf + n, 64 - (size_t)n, " %" PRId32, p->pid);
	else
		snprintf(buf + n, 64 - (size_t)n, " %" PRId32 " %s", p->pid,
			 stat_state(p));
	return str_of(buf);
}

static int
name_width(const struct top_look *look, const struct top_frame *f, enum top_pane pane)
{
	int most = NAME_LEAST, columns = 0, room;
	char buf[64];

	for (size_t i = 0; i < f->nrows[pane]; i++) {
		int n = (int)row_name(&f->rows[pane][i], buf).len;

		most = n > most ? n : most;
	}
	while (columns < TOP_COLUMNS && top_layouts[pane].column[columns].head)
		columns++;
	/* What is left beside all columns; but rather three columns fewer than half a
	 * name. */
	room = look->width - columns * COLUMN;
	if (room < NAME_LEAST + 6)
		room = look->width - 3 * COLUMN;
	if (room > NAME_MOST)
		room = NAME_MOST;
	if (room < NAME_LEAST)
		room = NAME_LEAST;
	return most < room ? most : room;
}

static void
pane_head(struct canvas *c, enum top_pane pane, int name, const char *more)
{
	const struct top_layout *l = &top_layouts[pane];

	if (c->look->colour)
		style(c, BOLD);
	putf(c, "", "%s%s", l->name, more);
	pad(c, name);
	for (int i = 0; i < TOP_COLUMNS && l->column[i].head; i++)
		if (c->used + COLUMN <= c->look->width)
			putf(c, "", "%*s", COLUMN, l->column[i].head);
	if (c->look->colour)
		style(c, "\033[0m");
	line_end(c);
}

static void
pane_row(struct canvas *c, enum top_pane pane, int name, const struct top_row *r)
{
	const struct top_layout *l = &top_layouts[pane];
	char buf[64], number[32];
	struct str n = row_name(r, buf);

	if (n.len > (size_t)name) {
		put(c, str_first(n, (size_t)name - 1));
		put(c, STR("~"));
	} else {
		put(c, n);
	}
	pad(c, name);
	for (int i = 0; i < TOP_COLUMNS && l->column[i].head; i++) {
		bool bad = l->column[i].unit == TOP_BAD_RATE && r->value[i] > 0;

		if (c->used + COLUMN <= c->look->width)
			putf(c, bad ? RED : "", "%*s", COLUMN,
			     top_number(l->column[i].unit, r->value[i], number));
	}
	line_end(c);
}

/* `lines` with the head; at least 1. */
static void
draw_pane(struct canvas *c, const struct top_frame *f, enum top_pane pane, size_t lines)
{
	int name = name_width(c->look, f, pane);
	size_t n = f->nrows[pane], show = lines ? lines - 1 : 0, from = c->look->scroll;
	char more[64] = "";

	if (from + show > n)
		from = n > show ? n - show : 0;
	if (show > n - from)
		show = n - from;
	if (show < n && show)
		snprintf(more, sizeof(more), " %zu-%zu/%zu", from + 1, from + show, n);
	pane_head(c, pane, name, more);
	for (size_t i = 0; i < show; i++)
		pane_row(c, pane, name, &f->rows[pane][from + i]);
}

/* How many lines each pane gets: its head and a row first, the rest in turn to who still
 * has rows. */
static void
share_lines(const struct top_frame *f, size_t lines, size_t got[static TOP_PANES])
{
	bool more = true;

	for (int p = 0; p < TOP_PANES; p++)
		got[p] = 0;
	for (int p = 0; p < TOP_PANES; p++)
		if (f->nrows[p] && lines >= 2) {
			got[p] = 2;
			lines -= 2;
		}
	while (lines && more) {
		more = false;
		for (int p = 0; p < TOP_PANES && lines; p++)
			if (got[p] && got[p] <= f->nrows[p]) {
				got[p]++;
				lines--;
				more = true;
			}
	}
}

static void
draw_panes(struct canvas *c, const struct top_frame *f, size_t lines)
{
	size_t got[TOP_PANES];

	if (c->look->pane != TOP_ALL) {
		draw_pane(c, f, c->look->pane, lines);
		return;
	}
	share_lines(f, lines, got);
	for (int p = 0; p < TOP_PANES; p++)
		if (got[p])
			draw_pane(c, f, (enum top_pane)p, got[p]);
}

/* ---- the rest */

static const char *const help[] = {
	"q        quit",
	"tab      next pane; 0 all of them",
	"1-6      services routes targets",
	"         consumers processes policies",
	"s        sort: rate, latency, errors",
	"up down  scroll; also page, home, end",
	"p        pause, go on",
	"h        this help",
	"own      time spent in the gateway itself",
	"fb       to the first byte of a response",
	"fail     the gateway's own error, or an attempt that failed",
	"-        no requests since the last look",
};

static void
draw_help(struct canvas *c, size_t lines)
{
	for (size_t i = 0; i < sizeof(help) / sizeof(*help) && i < lines; i++) {
		putf(c, "", "%s", help[i]);
		line_end(c);
	}
}

static void
footer(struct canvas *c)
{
	static const char *const sorts[] = { "rate", "latency", "errors" };
	const char *pane =
		c->look->pane == TOP_ALL ? "all" : top_layouts[c->look->pane].name;

	putf(c, DIM, "q quit  tab %s  s %s  p %s  h help", pane, sorts[c->look->sort],
	     c->look->paused ? "go on" : "pause");
	line_end(c);
}

void
top_draw(const struct top_frame *f, const struct stat_view *v,
	 const struct top_look *look, struct top_text *text)
{
	struct canvas c = { .text = text, .look = look };
	size_t left;

	text->len = 0;
	if (!look->height) {
		header(&c, f, v);
		for (int p = 0; p < TOP_PANES; p++)
			if (f->nrows[p] &&
			    (look->pane == TOP_ALL || (int)look->pane == p)) {
				line_end(&c);
				draw_pane(&c, f, (enum top_pane)p, f->nrows[p] + 1);
			}
		return;
	}
	if (look->height > 3) {
		/* On a low screen the panes matter more than all of the header. */
		header(&c, f, v);
		if (c.lines > look->height / 2) {
			size_t keep = 0;

			c.lines = look->height / 2;
			for (int n = 0; n < c.lines; keep++)
				n += text->at[keep] == '\n';
			text->len = keep;
		}
	}
	left = (size_t)(look->height - c.lines) - (look->height > 2);
	if (look->help)
		draw_help(&c, left);
	else
		draw_panes(&c, f, left);
	for (; c.lines < look->height - 1; )
		line_end(&c);
	if (c.lines < look->height)
		footer(&c);
}

size_t
top_scroll_most(const struct top_frame *f, const struct top_look *look)
{
	size_t most = 0, lines = look->height > 5 ? (size_t)look->height - 5 : 1;

	for (int p = 0; p < TOP_PANES; p++)
		if ((look->pane == TOP_ALL || (int)look->pane == p) && f->nrows[p] > most)
			most = f->nrows[p];
	if (look->pane == TOP_ALL)
		return most ? most - 1 : 0;
	return most > lines ? most - lines : 0;
}
