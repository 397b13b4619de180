#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf/reader.h"

/* "a sha256:" and 64 digits and a line feed: the shortest line. */
enum { FILE_MAX = 512 << 20, LINE_LEAST = 2 + 7 + 64 + 1 };

struct lines {
	struct conf_load *load;
	const char *file;               /* as shown */
	uint32_t line;
	const char *begin;              /* of the line */
	uint32_t errors;
};

/* A word off the front of a line; empty at its end. */
static struct str
word(struct str *rest)
{
	struct str w;
	size_t n = 0;

	*rest = str_trim(*rest);
	while (n < rest->len && rest->at[n] != ' ' && rest->at[n] != '\t')
		n++;
	w = str_first(*rest, n);
	*rest = str_from(*rest, n);
	return w;
}

static struct where
place(const struct lines *f, struct str at)
{
	return (struct where){ f->file, f->line, (uint32_t)(at.at - f->begin) + 1,
			       (uint32_t)at.len };
}

/* What stands in the file may be a key by mistake: it is not repeated. */
static void
wrong(struct lines *f, int code, struct str at, const char *error)
{
	f->errors++;
	conf_error(f->load, code, place(f, at), "%s", error);
}

static void
line(struct lines *f, struct str s)
{
	struct str rest = s, name = word(&rest), key, plan;
	struct conf_consumer *c;
	struct digest d;
	const char *error;
	bool made;

	if (!name.len || *name.at == '#')
		return;
	key = word(&rest);
	plan = word(&rest);
	rest = str_trim(rest);
	if ((error = name_error(name))) {
		wrong(f, 232, name, error);
		return;
	}
	if (!key.len) {
		wrong(f, 230, name, "a line is: CONSUMER sha256:<64 hex digits> [PLAN]");
		return;
	}
	if ((error = key_error(key, &d))) {
		wrong(f, 233, key, error);
		return;
	}
	if (plan.len && *plan.at == '#')
		plan.len = rest.len = 0;
	if (rest.len && *rest.at != '#') {
		wrong(f, 230, rest, "nothing follows the plan in a line");
		return;
	}
	c = roll_consumer(f->load, name, place(f, name), &made);
	if (made)
		c->name = arena_str(f->load->image, name);
	if (plan.len && roll_plan(f->load, c, plan, place(f, plan)) < 0)
		f->errors++;
	roll_key(f->load, c, &d,
		 (struct roll_place){ f->line, (uint32_t)(key.at - f->begin) + 1 });
}

static void
lines(struct lines *f, struct str text)
{
	const uint32_t *twice = &f->load->roll.twice;
	struct str one;

	while (f->errors + *twice < ROLL_ERRORS && str_split(&text, '\n', &one)) {
		f->line++;
		f->begin = one.at;
		if (one.len && one.at[one.len - 1] == '\r')
			one.len--;
		line(f, one);
	}
	if (f->errors + *twice >= ROLL_ERRORS && text.at)
		diag_note(f->load->diag, (struct where){ f->file, f->line, 1, 0 },
			  "the lines below were not read");
}

void
consumers_file_parse(struct conf_load *l, const char *shown, struct str text)
{
	struct lines f = { .load = l, .file = shown };
	size_t most = text.len / LINE_LEAST + 2;
	struct reader_scope before = reader_begin(l, NULL, STR_NONE);
	const struct conf_field *row = l->row;

	/* Its lines are not shown: there may be keys in them. */
	diag_file(l->diag, arena_str(l->diag->arena, str_of(shown)).at, STR_NONE);
	l->row = NULL;
	l->roll.file = shown;
	roll_reserve(l, most, most);
	lines(&f, text);
	l->row = row;
	reader_end(l, before);
}

static void
unreadable(struct conf_load *l, const char *shown, const char *why)
{
	conf_error(l, 501, l->consumers_file, "cannot read %s: %s", shown, why);
}

void
consumers_file_read(struct conf_load *l, struct str path)
{
	const char *shown = shown_name(l, path);
	struct stat st;
	int fd = open(path.at, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	char *buf = NULL;
	size_t n = 0;

	if (fd < 0 || fstat(fd, &st) < 0)
		unreadable(l, shown, strerror(errno));
	else if (!S_ISREG(st.st_mode))
		conf_error(l, 505, l->consumers_file, "%s is not an ordinary file", shown);
	else if (st.st_size > FILE_MAX)
		conf_error(l, 113, l->consumers_file,
			   "%s has %lld bytes; at most %d are allowed. Consumers beyond "
			   "that belong into the store: postern consumer add",
			   shown, (long long)st.st_size, FILE_MAX);
	else if (!(buf = malloc((size_t)st.st_size + 1)))
		unreadable(l, shown, strerror(errno));
	while (buf && n < (size_t)st.st_size) {
		ssize_t got = read(fd, buf + n, (size_t)st.st_size - n);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			unreadable(l, shown, strerror(errno));
		if (got <= 0)
			break;
		n += (size_t)got;
	}
	if (fd >= 0)
		close(fd);
	if (buf && n)
		consumers_file_parse(l, shown, (struct str){ buf, n });
	free(buf);
}
