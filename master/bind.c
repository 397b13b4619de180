#include "master/bind.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool
parse_unix(struct bind_address *a, struct str path)
{
	if (!path.len || path.len >= sizeof(a->u.un.sun_path) || path.at[0] != '/')
		return false;
	a->u.un.sun_family = AF_UNIX;
	memcpy(a->u.un.sun_path, path.at, path.len);
	a->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + path.len + 1);
	return true;
}

bool
bind_parse(struct bind_address *a, struct str text)
{
	struct sockaddr_in *in = (struct sockaddr_in *)&a->u.storage;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&a->u.storage;
	char host[INET6_ADDRSTRLEN];
	unsigned long long port;
	size_t colon = text.len;

	memset(a, 0, sizeof(*a));
	if (str_starts(text, STR("unix:")))
		return parse_unix(a, str_from(text, 5));
	while (colon && text.at[colon - 1] != ':')
		colon--;
	if (colon < 2 || !str_u64(str_from(text, colon), 65535, &port) || !port)
		return false;
	text = str_first(text, colon - 1);
	a->port = (uint16_t)port;
	if (text.at[0] == '[' && text.at[text.len - 1] == ']') {
		text = str_first(str_from(text, 1), text.len - 2);
		if (text.len >= sizeof(host))
			return false;
		snprintf(host, sizeof(host), "%.*s", STR_ARG(text));
		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons(a->port);
		a->len = sizeof(*in6);
		return inet_pton(AF_INET6, host, &in6->sin6_addr) == 1;
	}
	if (text.len >= sizeof(host))
		return false;
	snprintf(host, sizeof(host), "%.*s", STR_ARG(text));
	in->sin_family = AF_INET;
	in->sin_port = htons(a->port);
	a->len = sizeof(*in);
	return str_eq(text, STR("*")) || inet_pton(AF_INET, host, &in->sin_addr) == 1;
}

int
bind_of(struct bind_address *a, int fd)
{
	const struct sockaddr_in *in = (struct sockaddr_in *)&a->u.storage;
	const struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&a->u.storage;

	memset(a, 0, sizeof(*a));
	a->len = sizeof(a->u.storage);
	if (getsockname(fd, &a->u.any, &a->len) < 0)
		return -1;
	switch (a->u.any.sa_family) {
	case AF_INET:
		a->port = ntohs(in->sin_port);
		return 0;
	case AF_INET6:
		a->port = ntohs(in6->sin6_port);
		return 0;
	case AF_UNIX:
		return 0;
	}
	errno = EAFNOSUPPORT;
	return -1;
}

bool
bind_same(const struct bind_address *a, const struct bind_address *b)
{
	const struct sockaddr_in *a4 = (const void *)&a->u, *b4 = (const void *)&b->u;
	const struct sockaddr_in6 *a6 = (const void *)&a->u, *b6 = (const void *)&b->u;

	if (a->u.any.sa_family != b->u.any.sa_family || a->port != b->port)
		return false;
	switch (a->u.any.sa_family) {
	case AF_INET:
		return a4->sin_addr.s_addr == b4->sin_addr.s_addr;
	case AF_INET6:
		return memcmp(&a6->sin6_addr, &b6->sin6_addr, sizeof(a6->sin6_addr)) == 0;
	}
	return a->u.un.sun_path[0] == '/' &&
	       strcmp(a->u.un.sun_path, b->u.un.sun_path) == 0;
}

bool
bind_is_any(const struct bind_address *a)
{
	const struct sockaddr_in *in = (const void *)&a->u;
	const struct sockaddr_in6 *in6 = (const void *)&a->u;

	if (a->u.any.sa_family == AF_INET)
		return in->sin_addr.s_addr == htonl(INADDR_ANY);
	return a->u.any.sa_family == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&in6->sin6_addr);
}

const char *
bind_text(const struct bind_address *a, char to[static BIND_TEXT])
{
	const struct sockaddr_in *in = (const void *)&a->u;
	const struct sockaddr_in6 *in6 = (const void *)&a->u;
	const char *path = a->u.un.sun_path;
	char host[INET6_ADDRSTRLEN] = "";

	switch (a->u.any.sa_family) {
	case AF_INET:
		inet_ntop(AF_INET, &in->sin_addr, host, sizeof(host));
		snprintf(to, BIND_TEXT, "%s:%u", host, a->port);
		break;
	case AF_INET6:
		inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof(host));
		snprintf(to, BIND_TEXT, "[%s]:%u", host, a->port);
		break;
	default:
		snprintf(to, BIND_TEXT, "unix:%s%s", *path ? path : "@", *path ? "" : path + 1);
	}
	return to;
}

static int
fail(int fd)
{
	int error = errno;

	if (fd >= 0)
		close(fd);
	errno = error;
	return -1;
}

static int
bind_inet(const struct bind_address *a, bool share)
{
	int fd =
		socket(a->u.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int on = 1;

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
	    (share && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) < 0) ||
	    (a->u.any.sa_family == AF_INET6 &&
	     setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) < 0) ||
	    bind(fd, &a->u.any, a->len) < 0)
		return fail(fd);
	/* What is accepted inherits it. */
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	return fd;
}

/* Somebody answers there. */
static bool
unix_is_served(const struct bind_address *a)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	/* Only who is refused knows that nobody is there: EAGAIN is a full queue,
	 * EPROTOTYPE another kind of socket, EACCES somebody else's. */
	bool served = fd < 0 || connect(fd, &a->u.any, a->len) == 0 ||
		      errno != ECONNREFUSED;

	if (fd >= 0)
		close(fd);
	return served;
}

static int
bind_unix(const struct bind_address *a)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct stat st;

	if (fd < 0)
		return -1;
	if (lstat(a->u.un.sun_path, &st) == 0) {
		if (!S_ISSOCK(st.st_mode) || unix_is_served(a)) {
			errno = EADDRINUSE;
			return fail(fd);
		}
		unlink(a->u.un.sun_path);
	}
	if (bind(fd, &a->u.any, a->len) < 0)
		return fail(fd);
	/* As a port: who may reach the directory may connect. */
	chmod(a->u.un.sun_path, 0666);
	return fd;
}

int
bind_socket(const struct bind_address *a)
{
	return a->port ? bind_inet(a, true) : bind_unix(a);
}

int
bind_probe(const struct bind_address *a)
{
	int fd;

	if (!a->port)
		return 0;
	fd = bind_inet(a, false);
	if (fd < 0)
		return errno == EADDRINUSE ? EADDRINUSE : 0;
	close(fd);
	return 0;
}
