#include "conf/source.h"

#include <errno.h>
#include <fcntl.h>
#include <libconfig.h>
#include <pwd.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* Values go to libconfig in pieces of this size, as elements of one list: its memory is
 * used again and stays in the cache, and its groups, slow beyond some members, stay
 * small. */
enum { PIECE = 8 * 1024, MANY = 1000 };

struct feed {
	struct source *source;
	struct arena *strings;
	struct diag *diag;
	char *buf;
	size_t len, room;
	struct conf_node *pending[PIECE / 4];
	size_t npending;
	bool failed;
};

/* Of these no value is known. */
static void
forget(struct conf_node *n)
{
	for (uint32_t i = 0; n->bracket && i < n->n; i++)
		forget((struct conf_node *)n->child[i]);
	if (!n->bracket)
		n->kind = CONF_NODE_BROKEN;
}

static int
pair(struct feed *f, struct conf_node *n, const config_setting_t *s)
{
	switch (config_setting_type(s)) {
	case CONFIG_TYPE_GROUP:
	case CONFIG_TYPE_LIST:
	case CONFIG_TYPE_ARRAY:
		if (!n->bracket || (size_t)config_setting_length(s) != n->n)
			return -1;
		for (unsigned i = 0; i < n->n; i++)
			if (pair(f, (struct conf_node *)n->child[i],
				 config_setting_get_elem(s, i)) < 0)
				return -1;
		return 0;
	case CONFIG_TYPE_STRING:
		n->text = arena_str(f->strings, str_of(config_setting_get_string(s)));
		return n->kind == CONF_NODE_STRING ? 0 : -1;
	case CONFIG_TYPE_INT:
	case CONFIG_TYPE_INT64:
		n->number = config_setting_get_int64(s);
		return n->kind == CONF_NODE_INT ? 0 : -1;
	case CONFIG_TYPE_BOOL:
		n->number = config_setting_get_bool(s);
		return n->kind == CONF_NODE_BOOL ? 0 : -1;
	case CONFIG_TYPE_FLOAT:
		n->real = config_setting_get_float(s);
		return n->kind == CONF_NODE_FLOAT ? 0 : -1;
	}
	return -1;
}

static void
flush(struct feed *f)
{
	config_t c;
	const char *why = "another tree than expected";

	if (!f->npending)
		return;
	config_init(&c);
	memcpy(f->buf + f->len, ");\n", 4);

	bool ok = config_read_string(&c, f->buf) == CONFIG_TRUE;

	if (ok) {
		const config_setting_t *list =
			config_setting_get_elem(config_root_setting(&c), 0);

		ok = (size_t)config_setting_length(list) == f->npending;
		for (unsigned i = 0; ok && i < f->npending; i++)
			ok = pair(f, f->pending[i], config_setting_get_elem(list, i)) ==
			     0;
	} else {
		why = config_error_text(&c);
	}
	if (!ok && !f->failed) {
		diag_error(f->diag, 117, conf_where(f->pending[0]),
			   "libconfig says of what begins here: %s, %d lines below", why,
			   config_error_line(&c));
		f->failed = true;
	}
	for (size_t i = 0; !ok && i < f->npending; i++)
		forget(f->pending[i]);
	config_destroy(&c);
	f->npending = 0;
	f->len = 0;
}

static void
append(struct feed *f, struct conf_node *n)
{
	size_t len = n->end - n->at;

	if (f->len + len + 16 > f->room ||
	    f->npending == sizeof(f->pending) / sizeof(*f->pending))
		flush(f);
	if (len + 16 > f->room) {
		f->room = len + 16 > PIECE ? len + 16 : PIECE;
		f->buf = realloc(f->buf, f->room);
		if (!f->buf)
			abort();
	}
	if (!f->len)
		f->len = (size_t)(stpcpy(f->buf, "v=(") - f->buf);
	else
		f->buf[f->len++] = ',';
	memcpy(f->buf + f->len, f->source->scan.text.at + n->at, len);
	f->len += len;
	f->pending[f->npending++] = n;
}

/* In a container of thousands the names and brackets, which tree.c checked, would cost
 * libconfig more time than the values: there it is given these alone. */
static void
feed(struct feed *f, struct conf_node *n, bool alone)
{
	if (n->kind == CONF_NODE_BROKEN)
		return;
	if (!n->bracket || (!alone && !n->apart && n->end - n->at <= PIECE)) {
		append(f, n);
		return;
	}
	for (uint32_t i = 0; i < n->n; i++)
		feed(f, (struct conf_node *)n->child[i], alone || n->n > MANY);
}

static int
values(struct source *s, struct arena *strings, struct diag *d)
{
	struct feed *f = calloc(1, sizeof(*f));

	if (!f)
		abort();
	f->source = s;
	f->strings = strings;
	f->diag = d;
	feed(f, s->root, false);
	flush(f);

	int result = f->failed ? -1 : 0;

	free(f->buf);
	free(f);
	return result;
}

int
source_parse(struct source *s, struct str text, struct arena *a, struct arena *strings,
	     struct diag *d, size_t *count)
{
	int errors = d->errors;

	scan_init(&s->scan, a, s->name, text, d);
	s->root = tree_read(s, a, d, count);
	if (d->errors < SCAN_ERRORS_MAX)
		values(s, strings, d);
	else
		forget(s->root);
	return d->errors > errors ? -1 : 0;
}

/* Nothing but the command line tells where the first file is. */
static const char *
name_for(const struct source *s, struct where at)
{
	return at.line ? s->name : s->path;
}

static void
unreadable(struct diag *d, struct where w, const char *name, int error,
	   const struct stat *st)
{
	if (!st) {
		diag_error(d, 501, w, "cannot read %s: %s", name, strerror(error));
		return;
	}

	const struct passwd *owner = getpwuid(st->st_uid);

	diag_error(d, 501, w, "cannot read %s: %s (owner %s, mode %04o)", name,
		   strerror(error), owner ? owner->pw_name : "unknown",
		   st->st_mode & 07777);
}

/* The whole file with a NUL behind it; NULL with a finding. Closes fd. */
static char *
slurp(int fd, size_t size, struct str *text)
{
	char *buf = malloc(size + 1);
	size_t n = 0;

	while (buf && n < size) {
		ssize_t got = read(fd, buf + n, size - n);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			break;
		n += (size_t)got;
	}
	close(fd);
	if (buf) {
		buf[n] = '\0';
		*text = (struct str){ buf, n };
	}
	return buf;
}

int
source_identify(struct source *s, struct where at, struct diag *d)
{
	struct stat st;

	if (stat(s->path, &st) < 0) {
		unreadable(d, at, name_for(s, at), errno, NULL);
		return -1;
	}
	s->device = st.st_dev;
	s->inode = st.st_ino;
	s->readable_by_all = st.st_mode & S_IROTH;
	if (!S_ISREG(st.st_mode)) {
		diag_error(d, 505, at, "%s is not an ordinary file", name_for(s, at));
		return -1;
	}
	if (st.st_size > SCAN_FILE_MAX) {
		diag_error(d, 113, at, "%s has %lld bytes; at most %d are allowed",
			   s->name, (long long)st.st_size, SCAN_FILE_MAX);
		return -1;
	}
	return 0;
}

int
source_read(struct source *s, struct where at, struct arena *a, struct arena *strings,
	    struct diag *d, size_t *count)
{
	struct stat st;
	struct str text;
	int fd = open(s->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd < 0 || fstat(fd, &st) < 0) {
		int error = errno;

		if (fd >= 0)
			close(fd);
		unreadable(d, at, name_for(s, at), error,
			   stat(s->path, &st) == 0 ? &st : NULL);
		return -1;
	}

	size_t size = st.st_size < SCAN_FILE_MAX ? (size_t)st.st_size : SCAN_FILE_MAX;
	char *buf = slurp(fd, size, &text);

	if (!buf)
		abort();
	/* The findings show lines of it. */
	arena_defer(d->arena, free, buf);
	diag_file(d, arena_str(d->arena, str_of(s->name)).at, text);
	s->ours = true;
	return source_parse(s, text, a, strings, d, count);
}
