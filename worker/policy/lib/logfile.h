/* logfile — where log lines go: a file, standard output or error, or the syslog socket.
 *
 * Lines gather in a buffer and leave whole, in one write, when it is full or at the next
 * tick. Nothing here waits: what can not be written is lost and counted
 * (METRIC_LOG_DROPPED). All who name the same place in one worker, also in two
 * generations, share one logfile. */
#ifndef POLICY_LIB_LOGFILE_H
#define POLICY_LIB_LOGFILE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

enum { LOGFILE_BUFFER = 64 * 1024, LOGFILE_LINE = 16 * 1024 };

struct logfile;
struct worker;

/* `place`: an absolute path, "stdout", "stderr", or "syslog:/path/of/socket". NULL and a
 * text when it can not be opened. A new file has mode 0640. */
struct logfile *logfile_open(struct worker *, struct str place, const char **error);
/* By each who opened it; the last one writes what is left and closes. */
void logfile_close(struct logfile *);

/* Room for a line of at most LOGFILE_LINE bytes; NULL: the line is lost (and counted). */
char *logfile_room(struct logfile *);
/* A line of that many bytes was put there; ends in "\n". */
void logfile_line(struct logfile *, size_t len);
/* The line could not be made. */
void logfile_lost(struct logfile *);

/* Writes what is there. `reopen`: by its name once more, after a rotation; if that fails
 * the open file stays. */
void logfile_tick(struct logfile *, bool reopen);

#endif
