#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf/reader.h"

enum { SECRET_MAX = 64 * 1024, FILE_MAX = 16 << 20 };

static const char begin_key[] = "PRIVATE KEY-----";

bool
secret_elsewhere(struct str s)
{
	return str_starts(s, STR("file:")) || str_starts(s, STR("cred:")) ||
	       str_starts(s, STR("env:"));
}

void
secret_hide(const struct conf_node *n)
{
	const struct source *s = n->source;

	if (!s || !s->ours || n->bracket || n->kind == CONF_NODE_BROKEN ||
	    (n->kind == CONF_NODE_STRING && secret_elsewhere(n->text)))
		return;

	char *text = (char *)s->scan.text.at;

	for (uint32_t i = n->at; i < n->end; i++)
		if (text[i] != '"' && text[i] != '\n')
			text[i] = '*';
}

static void
unreadable(struct conf_load *l, int code, const struct conf_node *n, const char *path,
	   int error)
{
	struct stat st;
	const struct passwd *owner;

	if (error != EACCES || stat(path, &st) < 0) {
		conf_error(l, code, conf_where(n), "cannot read %s: %s", path,
			   strerror(error));
		return;
	}
	owner = getpwuid(st.st_uid);
	conf_error(l, code, conf_where(n), "cannot read %s: %s (owner %s, mode %04o)",
		   path, strerror(error), owner ? owner->pw_name : "unknown",
		   st.st_mode & 07777);
}

/* What only we may know stands in no file that others read, and never in one that they
 * write. */
static int
others_read(struct conf_load *l, const struct conf_node *n, const char *path,
	    const struct stat *st, const char *what)
{
	if (!S_ISREG(st->st_mode) || !(st->st_mode & (S_IROTH | S_IWOTH)))
		return 0;
	if (st->st_mode & S_IWOTH) {
		conf_error(l, 541, conf_where(n),
			   "everybody may write to %s, which holds %s (mode %04o); take "
			   "that away: chmod o-rwx %s",
			   path, what, st->st_mode & 07777, path);
		return -1;
	}
	conf_warn(l, 541, conf_where(n),
		  "everybody may read %s, which holds %s (mode %04o); take that away: "
		  "chmod o-rwx %s",
		  path, what, st->st_mode & 07777, path);
	return 0;
}

static int
from_file(struct conf_load *l, const struct conf_node *n, const char *path,
	  struct str *out)
{
	char buf[SECRET_MAX + 1];
	struct stat st;
	ssize_t len = -1;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	int error = errno;

	if (fd >= 0) {
		len = fstat(fd, &st) < 0 ? -1 : read(fd, buf, sizeof(buf));
		error = errno;
		close(fd);
	}
	if (len < 0) {
		unreadable(l, 228, n, path, error);
		return -1;
	}
	if (len > SECRET_MAX) {
		conf_error(l, 228, conf_where(n), "%s is too long for a secret", path);
		return -1;
	}
	while (len && (buf[len - 1] == '\n' || buf[len - 1] == '\r'))
		len--;
	*out = arena_str(l->image, (struct str){ buf, (size_t)len });
	explicit_bzero(buf, sizeof(buf));
	return others_read(l, n, path, &st, "a secret");
}

/* The path of "cred:NAME". NULL: it was said what is wrong. */
static const char *
credential_path(struct conf_load *l, const struct conf_node *n, struct str text)
{
	const char *dir = getenv("CREDENTIALS_DIRECTORY");
	struct str name = str_from(text, 5);

	if (dir && name.len && str_find(name, '/') < 0)
		return arena_printf(&l->scratch, "%s/%.*s", dir, STR_ARG(name)).at;
	conf_error(l, 228, conf_where(n),
		   dir ? "a credential has a name without /"
		       : "CREDENTIALS_DIRECTORY is not set; systemd does that for "
			 "LoadCredential=");
	return NULL;
}

int
secret_read(struct conf_load *l, const struct conf_node *n, struct str text,
	    struct str *out)
{
	if (str_starts(text, STR("file:")))
		return from_file(
			l, n, source_path(n->source, &l->scratch, str_from(text, 5)).at,
			out);
	if (str_starts(text, STR("cred:"))) {
		const char *path = credential_path(l, n, text);

		return path ? from_file(l, n, path, out) : -1;
	}
	if (str_starts(text, STR("env:"))) {
		const char *value = getenv(arena_str(&l->scratch, str_from(text, 4)).at);

		if (!value) {
			conf_error(l, 228, conf_where(n),
				   "%.*s is not set in the environment",
				   STR_ARG(str_from(text, 4)));
			return -1;
		}
		*out = arena_str(l->image, str_of(value));
		return 0;
	}
	struct where unseen = conf_where(n);

	unseen.len = 0;
	if (n->source->readable_by_all)
		conf_warn(l, 226, unseen,
			  "a secret stands in a file that everybody may read; write "
			  "\"file:/path\", \"cred:NAME\" or \"env:NAME\"");
	*out = text;
	return 0;
}

/* ---- files whose bytes are part of the configuration */

static int
all_of(int fd, struct arena *a, struct stat *st, struct str *out)
{
	size_t n = 0, size;
	char *buf;

	if (fstat(fd, st) < 0)
		return errno;
	if (S_ISDIR(st->st_mode))
		return EISDIR;
	if (!S_ISREG(st->st_mode))
		return EINVAL;
	if (st->st_size > FILE_MAX)
		return EFBIG;
	size = (size_t)st->st_size;
	buf = arena_alloc(a, size + 1);
	while (n < size) {
		ssize_t got = read(fd, buf + n, size - n);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return errno;
		if (!got)
			break;
		n += (size_t)got;
	}
	buf[n] = '\0';
	*out = (struct str){ buf, n };
	return 0;
}

/* Many upstreams may have one file of authorities: it is there once. */
static int
bytes_of(struct conf_load *l, const struct conf_node *n, const char *path,
	 struct stat *st, struct str *out)
{
	struct str *known = map_get(&l->files, str_of(path));
	int fd, error;

	if (known && stat(path, st) == 0) {
		*out = *known;
		return 0;
	}
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	error = fd < 0 ? errno : all_of(fd, l->image, st, out);
	if (fd >= 0)
		close(fd);
	if (error) {
		unreadable(l, 540, n, path, error);
		return -1;
	}
	if (!out->len) {
		conf_error(l, 540, conf_where(n), "%s is empty", path);
		return -1;
	}
	known = ARENA_NEW(&l->scratch, struct str);
	*known = *out;
	map_put(&l->files, &l->scratch, arena_str(&l->scratch, str_of(path)), known);
	return 0;
}

/* PEM in the place of a path would be shown with the next finding. */
static int
pasted(struct conf_load *l, const struct conf_field *r, const struct conf_node *n)
{
	struct where unseen = conf_where(n);

	unseen.len = 0;
	secret_hide(n);
	conf_error(l, 205, unseen,
		   "\"%s\" is the path of a file, \"cred:NAME\" or \"file:PATH\", not what "
		   "is in it",
		   r->key);
	return -1;
}

int
file_read(struct conf_load *l, const struct conf_field *r, const struct conf_node *n,
	  struct conf_file *to)
{
	const char *path;
	struct stat st;
	struct str text;

	if (n->kind != CONF_NODE_STRING && r->flags & CONF_F_SECRET) {
		struct where unseen = conf_where(n);

		unseen.len = 0;
		conf_error(l, 205, unseen, "\"%s\" is a string in quotes", r->key);
		return -1;
	}
	if (n->kind != CONF_NODE_STRING)
		return wrong_type(l, n, r->key, "the path of a file, in quotes");
	if (conf_text(l, n, &text) < 0)
		return -1;
	to->where = conf_where(n);
	if (r->flags & CONF_F_SECRET) {
		to->path = secret_elsewhere(text) ? text : STR_NONE;
		if (secret_read(l, n, text, &to->bytes) < 0)
			return -1;
		if (to->bytes.len)
			return 0;
		to->where.len = 0;
		conf_error(l, 228, to->where, "\"%s\" is empty", r->key);
		return -1;
	}
	if (memmem(text.at, text.len, "-----BEGIN", 10) || str_starts(text, STR("env:")))
		return pasted(l, r, n);
	if (!text.len) {
		conf_error(l, 540, conf_where(n), "\"%s\" names no file", r->key);
		return -1;
	}
	to->path = text;
	path = str_starts(text, STR("cred:"))
		       ? credential_path(l, n, text)
		       : source_path(n->source, &l->scratch,
				     str_starts(text, STR("file:")) ? str_from(text, 5)
								    : text)
				 .at;
	if (!path || bytes_of(l, n, path, &st, &to->bytes) < 0)
		return -1;
	if (memmem(to->bytes.at, to->bytes.len, begin_key, sizeof(begin_key) - 1))
		return others_read(l, n, path, &st, "a private key");
	return 0;
}
