#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "conf/reader.h"

enum { SECRET_MAX = 64 * 1024 };

static int
from_file(struct conf_load *l, const struct conf_node *n, const char *path,
	  struct str *out)
{
	char buf[SECRET_MAX + 1];
	ssize_t len = -1;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	int error = errno;

	if (fd >= 0) {
		len = read(fd, buf, sizeof(buf));
		error = errno;
		close(fd);
	}
	if (len < 0) {
		conf_error(l, 228, conf_where(n), "cannot read %s: %s", path,
			   strerror(error));
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
	return 0;
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
		const char *dir = getenv("CREDENTIALS_DIRECTORY");
		struct str name = str_from(text, 5);

		if (!dir || !name.len || str_find(name, '/') >= 0) {
			conf_error(l, 228, conf_where(n),
				   dir ? "a credential has a name without /"
				       : "CREDENTIALS_DIRECTORY is not set; systemd does "
					 "that for LoadCredential=");
			return -1;
		}
		return from_file(
			l, n, arena_printf(&l->scratch, "%s/%.*s", dir, STR_ARG(name)).at,
			out);
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
