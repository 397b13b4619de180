/* process_*: of all processes of the gateway together, as the kernel says. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "master/keeper/expose_inside.h"

struct process {
	uint64_t cpu_us, virtual, private, shared, began_s, fds;
};

static ssize_t
slurp(pid_t pid, const char *file, char *buf, size_t size)
{
	char path[64];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, file);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	n = read(fd, buf, size - 1);
	close(fd);
	if (n < 0)
		return -1;
	buf[n] = 0;
	return n;
}

static uint64_t
boot_s(void)
{
	struct timespec mono, wall;

	clock_gettime(CLOCK_BOOTTIME, &mono);
	clock_gettime(CLOCK_REALTIME, &wall);
	return (uint64_t)(wall.tv_sec - mono.tv_sec);
}

/* Field 22 of stat, counted behind the name in brackets, which may hold anything. */
static bool
read_begin(pid_t pid, struct process *p)
{
	unsigned long long start = 0, tick = (unsigned long long)sysconf(_SC_CLK_TCK);
	char buf[1024], *at;

	if (slurp(pid, "stat", buf, sizeof(buf)) < 0 || !(at = strrchr(buf, ')')))
		return false;
	if (sscanf(at + 1,
		   " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d "
		   "%*d %*d %llu",
		   &start) != 1)
		return false;
	p->began_s = boot_s() + start / tick;
	return true;
}

static void
read_cpu(pid_t pid, struct process *p)
{
	struct timespec t;
	clockid_t clock;

	if (clock_getcpuclockid(pid, &clock) == 0 && clock_gettime(clock, &t) == 0)
		p->cpu_us = (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void
read_memory(pid_t pid, struct process *p)
{
	unsigned long long virtual = 0, resident = 0, shared = 0,
			   page = (unsigned long long)sysconf(_SC_PAGESIZE);
	char buf[256];

	if (slurp(pid, "statm", buf, sizeof(buf)) < 0 ||
	    sscanf(buf, "%llu %llu %llu", &virtual, &resident, &shared) != 3)
		return;
	p->virtual = virtual * page;
	p->private = (resident > shared ? resident - shared : 0) * page;
	p->shared = shared * page;
}

/* 0: not allowed to look. */
static uint64_t
count_fds(pid_t pid)
{
	char path[64];
	uint64_t n = 0;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	d = opendir(path);
	if (!d)
		return 0;
	for (struct dirent *e; (e = readdir(d));)
		n += *e->d_name != '.';
	closedir(d);
	return n;
}

void
expose_process(struct text *t, const struct slots *slots)
{
	struct process sum = { 0 };
	struct rlimit limit = { .rlim_cur = 0 };

	for (int i = 0; i < SLOTS_MAX; i++) {
		struct process p = { 0 };
		pid_t pid = slots->row[i].pid;

		if (!slot_alive(&slots->row[i]) || !read_begin(pid, &p))
			continue;
		read_cpu(pid, &p);
		read_memory(pid, &p);
		sum.cpu_us += p.cpu_us;
		sum.virtual += p.virtual;
		sum.private += p.private;
		sum.fds += count_fds(pid);
		if (p.shared > sum.shared)
			sum.shared = p.shared;
		if (!sum.began_s || p.began_s < sum.began_s)
			sum.began_s = p.began_s;
	}
	getrlimit(RLIMIT_NOFILE, &limit);
	text_family(t, "process_cpu_seconds_total", "counter",
		    "processor time of all processes that live");
	text_begin(t, "");
	text_us(t, sum.cpu_us);
	text_gauge(t, "process_resident_memory_bytes",
		   "memory of all processes, what they share counted once",
		   sum.private + sum.shared);
	text_gauge(t, "process_virtual_memory_bytes", "address space of all processes",
		   sum.virtual);
	text_gauge(t, "process_open_fds",
		   "descriptors of those processes that may be looked at", sum.fds);
	text_gauge(t, "process_max_fds", "descriptors that each process may have",
		   (uint64_t)limit.rlim_cur);
	text_gauge(t, "process_start_time_seconds",
		   "when the oldest process started, seconds since 1970", sum.began_s);
}
