#include "master/bequest.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TEXT_MAX = 16 << 20 };

void
bequest_init(struct bequest *b)
{
	*b = (struct bequest){ .ready = -1, .lock = -1 };
}

static void
free_sockets(struct bequest_socket *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(s[i].address);
	free(s);
}

void
bequest_free(struct bequest *b)
{
	free_sockets(b->sockets, b->nsockets);
	free_sockets(b->passed, b->npassed);
	bequest_init(b);
}

static void
add(struct bequest_socket **all, size_t *n, int fd, unsigned slot, const char *text)
{
	struct bequest_socket *s = realloc(*all, (*n + 1) * sizeof(*s));

	if (!s)
		abort();
	*all = s;
	s += (*n)++;
	*s = (struct bequest_socket){ .fd = fd, .slot = slot, .address = strdup(text) };
	if (!s->address)
		abort();
}

void
bequest_add(struct bequest *b, int fd, unsigned slot, const char *address)
{
	add(&b->sockets, &b->nsockets, fd, slot, address);
}

void
bequest_pass(struct bequest *b, int fd, const char *name)
{
	add(&b->passed, &b->npassed, fd, 0, name);
}

int
bequest_write(const struct bequest *b)
{
	int fd = memfd_create("postern-upgrade", 0), copy;
	FILE *f;

	if (fd < 0)
		return -1;
	copy = dup(fd);
	f = copy < 0 ? NULL : fdopen(copy, "w");
	if (!f) {
		close(fd);
		return -1;
	}
	fprintf(f, "postern-upgrade 1\nready %d\nlock %d\nrevision %llu\n", b->ready, b->lock,
		(unsigned long long)b->revision);
	for (size_t i = 0; i < b->nsockets; i++)
		fprintf(f, "socket %d %u %s\n", b->sockets[i].fd, b->sockets[i].slot,
			b->sockets[i].address);
	for (size_t i = 0; i < b->npassed; i++)
		fprintf(f, "passed %d %s\n", b->passed[i].fd, b->passed[i].address);
	if (fclose(f) != 0) {
		close(fd);
		return -1;
	}
	return fd;
}

static void
parse_line(struct bequest *b, char *line)
{
	unsigned long long revision;
	unsigned slot;
	int fd, at = 0;

	if (sscanf(line, "ready %d", &fd) == 1)
		b->ready = fd;
	else if (sscanf(line, "lock %d", &fd) == 1)
		b->lock = fd;
	else if (sscanf(line, "revision %llu", &revision) == 1)
		b->revision = revision;
	else if (sscanf(line, "socket %d %u %n", &fd, &slot, &at) >= 2 && at &&
		 line[at] && fd > 2 && slot < 4096)
		bequest_add(b, fd, slot, line + at);
	else if (sscanf(line, "passed %d%n", &fd, &at) == 1 && at && fd > 2)
		bequest_pass(b, fd, line[at] ? line + at + 1 : "");
}

int
bequest_parse(struct bequest *b, const char *text)
{
	char *copy = strdup(text), *rest = copy, *line;

	bequest_init(b);
	if (!copy)
		return -1;
	line = strsep(&rest, "\n");
	if (strcmp(line, "postern-upgrade 1") != 0) {
		free(copy);
		return -1;
	}
	while ((line = strsep(&rest, "\n")))
		parse_line(b, line);
	free(copy);
	return 0;
}

static char *
read_all(int fd)
{
	struct stat st;
	char *text;

	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size > TEXT_MAX)
		return NULL;
	text = calloc(1, (size_t)st.st_size + 1);
	if (text && pread(fd, text, (size_t)st.st_size, 0) != (ssize_t)st.st_size) {
		free(text);
		text = NULL;
	}
	return text;
}

int
bequest_take(struct bequest *b)
{
	const char *value = getenv(BEQUEST_VARIABLE);
	char *text, *end;
	long fd;
	int rc;

	bequest_init(b);
	if (!value)
		return 0;
	fd = strtol(value, &end, 10);
	text = *value && !*end && fd > 2 && fd < 1 << 20 ? read_all((int)fd) : NULL;
	unsetenv(BEQUEST_VARIABLE);
	if (!text)
		return -1;
	close((int)fd);
	rc = bequest_parse(b, text);
	free(text);
	if (rc == 0) {
		fcntl(b->ready, F_SETFD, FD_CLOEXEC);
		fcntl(b->lock, F_SETFD, FD_CLOEXEC);
		for (size_t i = 0; i < b->nsockets; i++)
			fcntl(b->sockets[i].fd, F_SETFD, FD_CLOEXEC);
		for (size_t i = 0; i < b->npassed; i++)
			fcntl(b->passed[i].fd, F_SETFD, FD_CLOEXEC);
	}
	return rc == 0 ? 1 : -1;
}
