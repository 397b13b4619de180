/* A request to the admin socket and its answer, blocking. */
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "conf/load.h"
#include "master/cli/admin.h"
#include "master/cli/attach.h"

enum { NOTES_ROOM = 1 << 16, PATIENCE_S = 30, ANSWER_MOST = 1 << 30 };

/* ---- where it is */

/* The socket that a configuration names. -1: none, said if it was asked for. */
static int
socket_of(const struct admin_call *c, const char *file, bool asked,
	  char to[static PATH_MAX])
{
	struct attach_places p;

	if (attach_places(c->verb, file, asked, &p) < 0) {
		if (asked)
			fprintf(stderr, "postern %s: the admin socket is not known.\n"
				"Next: postern check -c %s, or postern %s --socket PATH\n",
				c->verb, file, c->verb);
		return -1;
	}
	if (!*p.socket) {
		if (asked)
			fprintf(stderr, "postern %s: %s has admin.socket = \"\": there is none\n"
				"Next: leave admin.socket out, and reload\n", c->verb, file);
		return -1;
	}
	memcpy(to, p.socket, PATH_MAX);
	return 0;
}

static int
find_socket(const struct admin_call *c, char to[static PATH_MAX])
{
	const char *usual = POSTERN_SYSCONFDIR "/postern.conf";
	struct arena notes;

	if (c->socket) {
		snprintf(to, PATH_MAX, "%s", c->socket);
		return 0;
	}
	if (c->rundir) {
		snprintf(to, PATH_MAX, "%s/admin.sock", c->rundir);
		return 0;
	}
	if (c->conf)
		return socket_of(c, c->conf, true, to);
	if (access(usual, R_OK) == 0 && socket_of(c, usual, false, to) == 0)
		return 0;
	arena_init(&notes, NULL, 0, NOTES_ROOM);
	snprintf(to, PATH_MAX, "%.*s/admin.sock", STR_ARG(conf_rundir(&notes)));
	arena_reset(&notes);
	return 0;
}

static int
cannot_connect(const struct admin_call *c, const char *path, int error)
{
	const char *verb = c->verb;

	if (error == ENOENT || error == ENOTDIR)
		fprintf(stderr,
			"postern %s: no gateway runs here: there is no %s\nNext: "
			"systemctl status postern, or "
			"postern %s -c FILE for a gateway with another configuration\n",
			verb, path, verb);
	else if (error == EACCES || error == EPERM)
		fprintf(stderr,
			"postern %s: you may not use %s\nNext: sudo postern %s, or "
			"admin.socket_group\n",
			verb, path, verb);
	else if (error == ECONNREFUSED)
		fprintf(stderr,
			"postern %s: nobody listens at %s: the gateway has ended, or its "
			"keeper just starts "
			"anew\nNext: systemctl status postern\n",
			verb, path);
	else
		fprintf(stderr, "postern %s: %s: %s\nNext: systemctl status postern\n",
			verb, path, strerror(error));
	return -1;
}

static int
dial(const struct admin_call *c)
{
	struct timeval patience = { .tv_sec = PATIENCE_S };
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	static char path[PATH_MAX];     /* a process asks one gateway */
	int fd;

	if (!*path && find_socket(c, path) < 0)
		return -1;
	if (strlen(path) >= sizeof(to.sun_path))
		return cannot_connect(c, path, ENAMETOOLONG);
	memcpy(to.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return cannot_connect(c, path, errno);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0) {
		int error = errno;

		close(fd);
		return cannot_connect(c, path, error);
	}
	return fd;
}

/* ---- bytes */

static int
send_all(int fd, const char *at, size_t len)
{
	while (len) {
		ssize_t n = send(fd, at, len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		at += n;
		len -= (size_t)n;
	}
	return 0;
}

/* Everything up to the end of the connection, NUL-terminated. */
static char *
receive_all(int fd, size_t *len)
{
	size_t room = 64 * 1024;
	char *buf = malloc(room);

	*len = 0;
	while (buf) {
		ssize_t n = recv(fd, buf + *len, room - *len - 1, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n == 0) {
			buf[*len] = 0;
			return buf;
		}
		if (n < 0 || *len > ANSWER_MOST)
			break;
		*len += (size_t)n;
		if (room - *len < 2) {
			char *more = realloc(buf, room *= 2);

			if (!more)
				break;
			buf = more;
		}
	}
	free(buf);
	return NULL;
}

/* The body behind the head; Content-Length says whether it is whole. */
static int
take_apart(char *buf, size_t len, struct admin_reply *r)
{
	char *end = strstr(buf, "\r\n\r\n"), *line;
	unsigned long long length = 0;

	if (!end || sscanf(buf, "HTTP/1.1 %3d", &r->status) != 1)
		return -1;
	*end = 0;
	for (line = strstr(buf, "\r\n"); line; line = strstr(line + 2, "\r\n"))
		if (strncasecmp(line + 2, "content-length:", 15) == 0)
			length = strtoull(line + 17, NULL, 10);
	r->text = end + 4;
	r->len = len - (size_t)(r->text - buf);
	return r->len == length ? 0 : -1;
}

static int
exchange(const struct admin_call *c, int fd, const char *head, const char *body,
	 struct admin_reply *r)
{
	char *buf = NULL, *text;
	size_t len = 0;

	if (send_all(fd, head, strlen(head)) == 0 &&
	    send_all(fd, body, strlen(body)) == 0)
		buf = receive_all(fd, &len);
	if (!buf || take_apart(buf, len, r) < 0) {
		fprintf(stderr,
			"postern %s: the keeper did not answer (%s)\nNext: journalctl -u "
			"postern\n",
			c->verb, buf || errno == EAGAIN ? "in time" : strerror(errno));
		free(buf);
		return -1;
	}
	text = malloc(r->len + 1);
	if (text)
		memcpy(text, r->text, r->len + 1);
	explicit_bzero(buf, len); /* it may be a key */
	free(buf);
	r->text = text;
	r->doc = text ? json_loadb(text, r->len, 0, NULL) : NULL;
	return text ? 0 : -1;
}

int
admin_ask(const struct admin_call *c, const char *method, const char *path, json_t *body,
	  struct admin_reply *r)
{
	char *text = body ? json_dumps(body, JSON_COMPACT) : NULL, head[2048];
	int fd = dial(c), rc = -1;

	memset(r, 0, sizeof(*r));
	snprintf(head, sizeof(head),
		 "%s %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
		 "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
		 method, path, text ? strlen(text) : 0);
	if (fd >= 0) {
		rc = exchange(c, fd, head, text ? text : "", r);
		close(fd);
	}
	json_decref(body);
	free(text);
	return rc;
}

void
admin_forget(struct admin_reply *r)
{
	if (r->text)
		explicit_bzero(r->text, r->len);
	free(r->text);
	json_decref(r->doc);
	memset(r, 0, sizeof(*r));
}

int
admin_do(const struct admin_call *c, const char *method, const char *path, json_t *body,
	 const char *next, struct admin_reply *r)
{
	const char *detail;

	if (admin_ask(c, method, path, body, r) < 0)
		return -1;
	if (r->status >= 200 && r->status < 300)
		return 0;
	detail = json_string_value(json_object_get(r->doc, "detail"));
	fprintf(stderr, "postern %s: %s\nNext: %s\n", c->verb,
		detail ? detail : "it was refused",
		r->status == 403   ? "sudo postern ..., or admin.socket_group"
		: r->status == 503 ? "journalctl -u postern"
		: next             ? next
				   : "postern --help");
	admin_forget(r);
	return -1;
}

/* ---- paths */

static void
encode(char *to, size_t size, const char *s)
{
	char *end = to + size - 4;

	for (; s && *s && to < end; s++) {
		unsigned char b = (unsigned char)*s;

		if (isalnum(b) || strchr("._-~", b))
			*to++ = *s;
		else
			to += snprintf(to, 4, "%%%02X", b);
	}
	*to = 0;
}

void
admin_path(char to[static 1024], const char *fmt, const char *a, const char *b)
{
	const char *part[2] = { a, b };
	size_t n = 0;
	int i = 0;

	for (; *fmt && n < 1000; fmt++) {
		if (fmt[0] == '%' && fmt[1] == 's' && i < 2) {
			encode(to + n, 1024 - n, part[i++]);
			n += strlen(to + n);
			fmt++;
		} else {
			to[n++] = *fmt;
		}
	}
	to[n] = 0;
}

void
admin_query(char path[static 1024], const char *key, const char *value)
{
	char text[512];
	size_t n = strlen(path);

	if (!value)
		return;
	encode(text, sizeof(text), value);
	snprintf(path + n, 1024 - n, "%c%s=%s", strchr(path, '?') ? '&' : '?', key, text);
}
