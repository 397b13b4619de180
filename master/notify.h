/* notify — what the service manager is told (sd_notify(3)), without its library.
 *
 * A datagram to the socket that $NOTIFY_SOCKET names; without it nothing is done. */
#ifndef MASTER_NOTIFY_H
#define MASTER_NOTIFY_H

#include <stdint.h>

/* "READY=1\nSTATUS=…"; a failure is nobody's business. */
void notify_send(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Microseconds, as RELOADING=1 wants them beside it. */
uint64_t notify_monotonic(void);

/* ms between two WATCHDOG=1, half of what the manager waits; 0: it does not watch us.
 * `heir`: this process was started by another master, whose pid WATCHDOG_PID still names. */
uint64_t notify_watchdog(int heir);

#endif
