#include "master/activation.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"

enum { FIRST = 3, MOST = 1024 };

static int
option(int fd, int level, int name)
{
	socklen_t len = sizeof(int);
	int value = -1;

	return getsockopt(fd, level, name, &value, &len) < 0 ? -1 : value;
}

static bool
is_listening(int fd)
{
	return option(fd, SOL_SOCKET, SO_TYPE) == SOCK_STREAM &&
	       option(fd, SOL_SOCKET, SO_ACCEPTCONN) == 1;
}

void
activation_add(struct activation *a, int fd, const char *name)
{
	struct passed p = { .fd = fd };
	int on = 1;

	if (!is_listening(fd) || bind_of(&p.address, fd) < 0) {
		log_warn("passed descriptor %d (%s) is not a listening stream socket: not used",
			 fd, *name ? name : "no name");
		close(fd);
		return;
	}
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	if (p.address.port)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	p.dual = p.address.u.any.sa_family == AF_INET6 &&
		 option(fd, IPPROTO_IPV6, IPV6_V6ONLY) == 0;
	p.name = strdup(name);
	a->at = realloc(a->at, (a->n + 1) * sizeof(*a->at));
	if (!p.name || !a->at)
		abort();
	a->at[a->n++] = p;
}

static long
number_of(const char *variable)
{
	const char *value = getenv(variable);
	unsigned long long n;

	return value && str_u64(str_of(value), 1 << 30, &n) ? (long)n : -1;
}

void
activation_take(struct activation *a)
{
	const char *value = getenv("LISTEN_FDNAMES");
	char *names = strdup(value ? value : ""), *rest = names, *name;
	long n = number_of("LISTEN_FDS");
	bool ours = number_of("LISTEN_PID") == (long)getpid();

	if (!names)
		abort();
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDNAMES");
	for (int fd = FIRST; ours && n <= MOST && fd < FIRST + n; fd++) {
		name = strsep(&rest, ":");
		activation_add(a, fd, name ? name : "");
	}
	free(names);
}

static bool
suits(const struct passed *p, const struct bind_address *wanted, bool dual)
{
	if (bind_same(&p->address, wanted))
		return true;
	if (!dual || !p->dual || p->address.port != wanted->port)
		return false;
	return wanted->u.any.sa_family == AF_INET && bind_is_any(wanted) &&
	       bind_is_any(&p->address);
}

static struct passed *
find(struct activation *a, const struct bind_address *wanted, bool dual)
{
	for (size_t i = 0; i < a->n; i++)
		if (suits(&a->at[i], wanted, false))
			return &a->at[i];
	for (size_t i = 0; i < a->n; i++)
		if (suits(&a->at[i], wanted, dual))
			return &a->at[i];
	return NULL;
}

int
activation_get(struct activation *a, const struct bind_address *wanted, bool dual)
{
	struct passed *p = find(a, wanted, dual);
	char text[BIND_TEXT];
	int fd;

	if (!p)
		return -1;
	fd = fcntl(p->fd, F_DUPFD_CLOEXEC, FIRST);
	if (fd < 0) {
		log_error("passed socket %s: %s", bind_text(&p->address, text), strerror(errno));
		return -1;
	}
	p->used = true;
	log_info("%s is the socket that was passed to us%s%s: one for all workers",
		 bind_text(&p->address, text), *p->name ? " as " : "", p->name);
	return fd;
}

void
activation_tell(struct activation *a)
{
	char text[BIND_TEXT];

	if (a->told)
		return;
	a->told = true;
	for (size_t i = 0; i < a->n; i++)
		if (!a->at[i].used)
			log_warn("a socket for %s was passed to us%s%s, and no listener is bound to "
				 "it: nobody answers there", bind_text(&a->at[i].address, text),
				 *a->at[i].name ? " as " : "", a->at[i].name);
}

void
activation_free(struct activation *a)
{
	for (size_t i = 0; i < a->n; i++) {
		close(a->at[i].fd);
		free(a->at[i].name);
	}
	free(a->at);
	*a = (struct activation){ .n = 0 };
}
