#include "base/log.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 4096 };

static const struct {
	const char *name;
	int priority;                   /* of syslog(3), which the journal uses */
} levels[] = {
	[LOG_LEVEL_ERROR] = { "error", 3 },
	[LOG_LEVEL_WARN] = { "warning", 4 },
	[LOG_LEVEL_NOTICE] = { "notice", 5 },
	[LOG_LEVEL_INFO] = { "info", 6 },
	[LOG_LEVEL_DEBUG] = { "debug", 7 },
};

static char log_role[32] = "postern";
static enum log_level log_threshold = LOG_LEVEL_NOTICE;
static bool log_journal;

/* The variable is inherited by whatever a service starts: only if standard error is
 * the very socket that it names does the journal read us. */
static bool
is_journal(void)
{
	const char *named = getenv("JOURNAL_STREAM");
	unsigned long long dev, ino;
	struct stat st;

	return named && sscanf(named, "%llu:%llu", &dev, &ino) == 2 &&
	       fstat(STDERR_FILENO, &st) == 0 && st.st_dev == dev && st.st_ino == ino;
}

void
log_setup(const char *role, enum log_level threshold)
{
	snprintf(log_role, sizeof(log_role), "%s", role);
	log_threshold = threshold;
	log_journal = is_journal();
}

static int
put_prefix(char *line, size_t size, enum log_level level)
{
	if (log_journal)
		return snprintf(line, size, "<%d>%s: ", levels[level].priority, log_role);

	struct timespec now;
	struct tm tm;
	char at[32];

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	strftime(at, sizeof(at), "%Y-%m-%dT%H:%M:%S", &tm);
	return snprintf(line, size, "%s.%03ldZ %s %s[%d] ", at, now.tv_nsec / 1000000,
			levels[level].name, log_role, (int)getpid());
}

/* What others sent may be quoted in a line: nothing of it may begin a new one or move
 * the cursor of a terminal. */
static void
blunt(char *text, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
			text[i] = text[i] == '\n' || text[i] == '\t' ? ' ' : '?';
}

void
log_write(enum log_level level, const char *fmt, ...)
{
	if (level > log_threshold)
		return;

	char line[LINE_MAX_BYTES];
	int head = put_prefix(line, sizeof(line) - 1, level);
	size_t room = sizeof(line) - 1 - (size_t)head;
	va_list args;

	va_start(args, fmt);
	int n = vsnprintf(line + head, room, fmt, args);
	va_end(args);
	if (n < 0)
		return;

	size_t len = (size_t)n < room ? (size_t)n : room - 1;

	blunt(line + head, len);
	len += (size_t)head;
	line[len++] = '\n';

	/* One write a line: lines of several processes do not mix. There is nowhere to
	 * say that it failed. */
	ssize_t said = write(STDERR_FILENO, line, len);
	(void)said;
}
