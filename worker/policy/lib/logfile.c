#include "worker/policy/lib/logfile.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"
#include "shm/stats.h"
#include "worker/exchange/exchange.h"

enum kind { KIND_FILE, KIND_STREAM, KIND_SYSLOG };

/* How bytes leave. */
enum way {
	WAY_WRITE,                      /* never waits: a file, or opened O_NONBLOCK */
	WAY_SEND,                       /* a stream socket, such as journald's */
	WAY_POLL,                       /* a blocking pipe: asked first, in pieces */
	WAY_DATAGRAM,                   /* a line each */
};

struct logfile {
	struct list link;               /* of the worker's */
	struct worker *worker;
	uint32_t refs;
	int fd;                         /* -1: a syslog socket that is gone */
	uint8_t kind, way;
	bool failing;                   /* said so in the log */
	bool torn;                      /* what was written last did not end a line */
	uint64_t reopened;              /* ms */
	size_t len, lines;              /* in buf */
	struct str place;               /* NUL after it, behind this struct */
	char buf[LOGFILE_BUFFER];
};

/* ---- opening */

static int
open_stream(struct logfile *f, int fd)
{
	struct stat st;
	char path[32];
	int own;

	f->kind = KIND_STREAM;
	if (fstat(fd, &st) < 0)
		return -1;
	if (S_ISSOCK(st.st_mode)) {
		f->way = WAY_SEND;
		return fcntl(fd, F_DUPFD_CLOEXEC, 3);
	}
	/* A description of our own, so that O_NONBLOCK is no one else's business. */
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	own = open(path, O_WRONLY | O_APPEND | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (own >= 0)
		return own;
	f->way = S_ISREG(st.st_mode) ? WAY_WRITE : WAY_POLL;
	return fcntl(fd, F_DUPFD_CLOEXEC, 3);
}

static int
open_syslog(struct logfile *f, struct str path)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd, error;

	f->kind = KIND_SYSLOG;
	f->way = WAY_DATAGRAM;
	if (path.len >= sizeof(sun.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(sun.sun_path, path.at, path.len);
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&sun, sizeof(sun)) == 0)
		return fd;
	error = errno;
	close(fd);
	errno = error;
	return -1;
}

static int
open_place(struct logfile *f)
{
	f->way = WAY_WRITE;
	if (str_eq(f->place, STR("stdout")))
		return open_stream(f, STDOUT_FILENO);
	if (str_eq(f->place, STR("stderr")))
		return open_stream(f, STDERR_FILENO);
	if (str_starts(f->place, STR("syslog:")))
		return open_syslog(f, str_from(f->place, 7));
	f->kind = KIND_FILE;
	return open(f->place.at,
		    O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK | O_NOCTTY | O_CLOEXEC,
		    0640);
}

struct logfile *
logfile_open(struct worker *w, struct str place, const char **error)
{
	struct list *all = worker_logfiles(w);
	struct logfile *f;

	for (struct list *l = all->next; l != all; l = l->next) {
		f = list_entry(l, struct logfile, link);
		if (str_eq(f->place, place)) {
			f->refs++;
			return f;
		}
	}
	f = malloc(sizeof(*f) + place.len + 1);
	if (!f) {
		*error = strerror(ENOMEM);
		return NULL;
	}
	memset(f, 0, offsetof(struct logfile, buf));
	memcpy(f + 1, place.at, place.len);
	((char *)(f + 1))[place.len] = 0;
	f->place = (struct str){ (char *)(f + 1), place.len };
	f->worker = w;
	f->refs = 1;
	f->fd = open_place(f);
	if (f->fd < 0) {
		*error = strerror(errno);
		log_error("access log %s: %s%s", f->place.at, *error,
			  errno == ENOENT ? "; make its directory, where gateway.user may write" : "");
		free(f);
		return NULL;
	}
	list_append(all, &f->link);
	return f;
}

/* ---- writing */

static ssize_t
put_datagram(struct logfile *f, const char *at, size_t len)
{
	const char *nl = memchr(at, '\n', len);
	char head[64];
	struct tm tm;
	time_t now = clock_wall_ms() / 1000;
	size_t n, line = nl ? (size_t)(nl - at) : len;

	localtime_r(&now, &tm);
	/* RFC 3164, daemon.info */
	n = strftime(head, sizeof(head), "<30>%b %e %T ", &tm);
	n += (size_t)snprintf(head + n, sizeof(head) - n, "postern[%d]: ", (int)getpid());
	struct iovec v[] = { { head, n }, { (void *)(uintptr_t)at, line } };
	struct msghdr m = { .msg_iov = v, .msg_iovlen = 2 };
	if (sendmsg(f->fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		return -1;
	return (ssize_t)(line + (nl != NULL));
}

/* As write(2). */
static ssize_t
put(struct logfile *f, const char *at, size_t len)
{
	struct pollfd p = { .fd = f->fd, .events = POLLOUT };

	switch (f->way) {
	case WAY_SEND:
		return send(f->fd, at, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	case WAY_DATAGRAM:
		return put_datagram(f, at, len);
	case WAY_POLL:
		if (poll(&p, 1, 0) < 1 || !(p.revents & POLLOUT)) {
			errno = EAGAIN;
			return -1;
		}
		/* POLLOUT of a pipe promises this much (pipe(7)). */
		return write(f->fd, at, len < 4096 ? len : 4096);
	default:
		return write(f->fd, at, len);
	}
}

static size_t
count_lines(const char *at, size_t len)
{
	const char *end = at + len;
	size_t n = 0;

	while (at < end && (at = memchr(at, '\n', (size_t)(end - at)))) {
		at++;
		n++;
	}
	return n;
}

static void
written(struct logfile *f, size_t lines)
{
	if (lines > f->lines)           /* a torn line's end is no line */
		lines = f->lines;
	worker_stats(f->worker)->count[METRIC_LOG_LINES] += lines;
	f->lines -= lines;
}

static void
fail(struct logfile *f, int error)
{
	worker_stats(f->worker)->count[METRIC_LOG_DROPPED] += f->lines;
	f->len = f->lines = 0;
	if (!f->failing)
		log_warn("access log %s: %s; lines are being lost", f->place.at,
			 strerror(error));
	f->failing = true;
	if (f->way == WAY_DATAGRAM) {
		close(f->fd);
		f->fd = -1;
	}
}

/* What a pipe or socket will take later stays; on any other error it is lost. */
static void
flush(struct logfile *f)
{
	size_t done = 0;
	int error = 0;

	if (f->fd < 0)
		error = ENOTCONN;
	while (done < f->len && !error) {
		ssize_t n = put(f, f->buf + done, f->len - done);

		if (n > 0)
			done += (size_t)n;
		else if (n == 0 || errno != EINTR)
			error = n ? errno : ENOSPC;
	}
	if (done) {
		f->torn = f->buf[done - 1] != '\n' && f->way != WAY_DATAGRAM;
		written(f, error ? count_lines(f->buf, done) : f->lines);
	}
	f->len -= done;
	if (error == EAGAIN || error == ENOBUFS) {
		memmove(f->buf, f->buf + done, f->len);
	} else if (error) {
		fail(f, error);
	} else if (done && f->failing) {
		log_notice("access log %s is written again", f->place.at);
		f->failing = false;
	}
}

char *
logfile_room(struct logfile *f)
{
	if (LOGFILE_BUFFER - f->len < LOGFILE_LINE + 1)
		flush(f);
	if (LOGFILE_BUFFER - f->len < LOGFILE_LINE + 1) {
		logfile_lost(f);
		return NULL;
	}
	if (!f->len && f->torn) {
		f->buf[f->len++] = '\n';
		f->torn = false;
	}
	return f->buf + f->len;
}

void
logfile_line(struct logfile *f, size_t len)
{
	f->len += len;
	f->lines++;
}

void
logfile_lost(struct logfile *f)
{
	worker_stats(f->worker)->count[METRIC_LOG_DROPPED]++;
}

static void
reopen(struct logfile *f)
{
	int fd;

	/* Each policy that names this place asks once. */
	if (f->reopened == clock_ms())
		return;
	f->reopened = clock_ms();
	fd = open_place(f);
	if (fd < 0) {
		log_warn("access log %s: %s; the file that was open is written on",
			 f->place.at, strerror(errno));
		return;
	}
	if (f->fd >= 0)
		close(f->fd);
	f->fd = fd;
	f->torn = false;
}

void
logfile_tick(struct logfile *f, bool again)
{
	if (f->fd < 0)
		f->fd = open_place(f);
	if (f->len)
		flush(f);
	if (again && f->kind == KIND_FILE)
		reopen(f);
}

void
logfile_close(struct logfile *f)
{
	if (--f->refs)
		return;
	if (f->len)
		flush(f);
	if (f->len)
		fail(f, EAGAIN);
	if (f->fd >= 0)
		close(f->fd);
	list_remove(&f->link);
	free(f);
}
