/* top — the live screen: what the parts of `postern top` share.
 *
 *   top.c           the verb: its words, the beat, keys
 *   top_rates.c     two looks at a gateway → a frame: what happened in between, per second
 *   top_screen.c    a frame → text of a given width and height
 *   top_terminal.c  the terminal: raw, another screen, given back however it ends
 *
 * A frame has a header and panes; a pane is rows of numbers under columns. All rows are in it; the screen shows
 * what fits. */
#ifndef CLI_TOP_H
#define CLI_TOP_H

#include "master/cli/stat.h"

enum top_pane {
	TOP_SERVICES, TOP_ROUTES, TOP_TARGETS, TOP_CONSUMERS, TOP_PROCESSES, TOP_POLICIES,
	TOP_PANES,
	TOP_ALL = TOP_PANES
};
enum top_sort { TOP_BY_RATE, TOP_BY_LATENCY, TOP_BY_ERRORS, TOP_SORTS };
enum top_unit { TOP_RATE, TOP_BAD_RATE, TOP_TIME, TOP_COUNT, TOP_BYTES, TOP_SHARE };

enum { TOP_COLUMNS = 8 };

struct top_column {
	const char *head;               /* NULL: no more columns */
	enum top_unit unit;
};

struct top_layout {                     /* of a pane; columns that matter most first */
	const char *name;               /* "services" */
	struct top_column column[TOP_COLUMNS];
};
extern const struct top_layout top_layouts[TOP_PANES];

struct top_row {
	struct str name;                /* in the region */
	const struct stat_process *process;     /* of TOP_PROCESSES, instead of a name */
	double value[TOP_COLUMNS];      /* below 0: there is none */
	double order[TOP_SORTS];
};

struct top_frame {
	double seconds;                 /* between the two looks; 0: there was but one, rates are not known */
	uint64_t uptime;                /* ms of the master; 0: none runs */
	double requests, bad4, bad5;    /* a second */
	double p50, p95, p99;           /* µs, of that time only; below 0: no requests */
	struct top_row *rows[TOP_PANES];
	size_t nrows[TOP_PANES];
};

/* What happened between two looks at the same region; `before` may be NULL. Points into `now`. */
void top_frame_make(struct top_frame *, const struct stat_view *before,
		    const struct stat_view *now);
/* Most first; processes keep their order. */
void top_frame_sort(struct top_frame *, enum top_sort);
void top_frame_free(struct top_frame *);

/* How a frame is to be shown. */
struct top_look {
	int width, height;              /* height 0: as many lines as there are */
	enum top_pane pane;             /* TOP_ALL: all of them */
	enum top_sort sort;
	size_t scroll;                  /* rows left out at the top */
	bool paused, help, colour;
	const char *notice;             /* "no gateway runs"; NULL: none */
};

struct top_text {                       /* a string that grows */
	char *at;
	size_t len, room;
};

/* Replaces *text by the lines of the screen, each ended by '\n', none wider than the width, at most `height` of them,
 * never a control character but colours. */
void top_draw(const struct top_frame *, const struct stat_view *, const struct top_look *,
	      struct top_text *text);
/* The furthest that it makes sense to scroll. */
size_t top_scroll_most(const struct top_frame *, const struct top_look *);

/* For people, at most 7 characters: "0" "3.2" "842" "12.3k". */
const char *top_number(enum top_unit, double value, char buf[static 32]);

/* ---- the terminal */

enum top_key {
	TOP_KEY_NONE, TOP_KEY_QUIT, TOP_KEY_TAB, TOP_KEY_BACKTAB, TOP_KEY_SORT, TOP_KEY_PAUSE,
	TOP_KEY_HELP, TOP_KEY_UP, TOP_KEY_DOWN, TOP_KEY_PAGE_UP, TOP_KEY_PAGE_DOWN, TOP_KEY_HOME,
	TOP_KEY_END, TOP_KEY_REDRAW,
	TOP_KEY_PANE                    /* + number: '0' (all) … '6' */
};

/* Takes the terminal: -1 with errno. Whatever ends this process from now on, but SIGKILL, gives it back first. */
int top_terminal_open(void);
void top_terminal_close(void);
void top_terminal_size(int *width, int *height);
/* Waits for a key, a change of size (TOP_KEY_REDRAW) or until `ms` are over (TOP_KEY_NONE). End of stdin and the
 * signals that ask to end are TOP_KEY_QUIT. */
int top_terminal_key(int ms);
/* Shows lines as top_draw() made them. -1: the terminal is gone. */
int top_terminal_show(const struct top_text *, int height);
/* Whether it understands where to put things: not TERM=dumb. */
bool top_terminal_able(void);

#endif
