/* log — what the gateway says about itself, a line at a time, to standard error.
 *
 * Under systemd (JOURNAL_STREAM set) lines begin with <N>, the priority that the
 * journal understands; else with the time, the level, role and pid. Not the access
 * log: that is a policy. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_NOTICE, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* `role` ("master", "worker 3", …) is copied, at most 31 bytes. */
void log_setup(const char *role, enum log_level threshold);

void log_write(enum log_level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...)  log_write(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(...)   log_write(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_notice(...) log_write(LOG_LEVEL_NOTICE, __VA_ARGS__)
#define log_info(...)   log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)  log_write(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
