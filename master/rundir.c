#include "master/rundir.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

int
rundir_lock(const char *rundir, int inherited)
{
	struct stat a, b;
	char path[PATH_MAX];
	int fd, error;

	if ((size_t)snprintf(path, sizeof(path), "%s/postern.lock", rundir) >=
	    sizeof(path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	if (inherited >= 0 && fstat(inherited, &a) == 0 && stat(path, &b) == 0 &&
	    a.st_dev == b.st_dev && a.st_ino == b.st_ino)
		return inherited;
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
	if (fd < 0)
		return -1;
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		error = errno;
		close(fd);
		errno = error;
		return -1;
	}
	return fd;
}

int
pidfile_write(const char *path)
{
	char fresh[PATH_MAX], text[32];
	int fd, len = snprintf(text, sizeof(text), "%d\n", (int)getpid()), error;

	if ((size_t)snprintf(fresh, sizeof(fresh), "%s.%d", path, (int)getpid()) >=
	    sizeof(fresh)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	unlink(fresh);
	fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0)
		return -1;
	if (write(fd, text, (size_t)len) != len || rename(fresh, path) < 0) {
		error = errno;
		close(fd);
		unlink(fresh);
		errno = error;
		return -1;
	}
	return close(fd);
}

void
pidfile_remove(const char *path)
{
	char text[32] = "";
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (fd >= 0)
		close(fd);
	if (n > 0 && strtol(text, NULL, 10) == (long)getpid())
		unlink(path);
}
