/* load — many requests over many connections, every one of them accounted for.
 *
 *   load [-c CONNECTIONS] [-t SECONDS] [-n REQUESTS] [-u TARGET] [-H HEADER]… [-f FILE]
 * [-o LOG] PORT
 *
 * Each connection asks, waits for the whole answer, asks again. One that breaks is made
 * anew; a request that was sent and not answered is "lost": nobody here knows whether it
 * counted. FILE has a header a line; requests take them in turn. LOG gets a line "SENT
 * RECEIVED" (ns, monotonic) for each 2xx. At the end a line of JSON says what came: of
 * all, and of each line of FILE. SIGTERM ends it early. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { CONNECTIONS_MOST = 4096, LINES_MOST = 4096, STATUSES = 600, BUFFER = 65536 };

struct tally {
	uint64_t status[STATUSES], lost, sent;
};

struct conn {
	int fd;
	bool asked;                     /* a request is on its way */
	bool up;
	int line;
	uint64_t at;                    /* when it was sent */
	size_t have, skip; /* bytes of the answer; of its body still to come */
	int status;
	bool close;
	char buf[BUFFER];
};

static struct sockaddr_in to;
static const char *target = "/";
static char headers[8192];
static char *lines[LINES_MOST];
static int nlines;
static struct tally *tallies;           /* nlines + 1: the last one of all */
static uint64_t asked, answered, connects, refused, stop_at, limit;
static FILE *out;
static int epoll_fd;
static volatile sig_atomic_t over;

static uint64_t
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void
on_term(int sig)
{
	(void)sig;
	over = 1;
}

static void
count_lost(struct conn *c)
{
	if (!c->asked)
		return;
	tallies[nlines].lost++;
	if (nlines)
		tallies[c->line].lost++;
	c->asked = false;
}

static void
conn_open(struct conn *c)
{
	struct epoll_event e = { .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
				 .data.ptr = c };
	int on = 1;

	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	c->have = c->skip = 0;
	c->up = c->asked = c->close = false;
	c->status = 0;
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (connect(c->fd, (struct sockaddr *)&to, sizeof(to)) < 0 &&
	    errno != EINPROGRESS) {
		refused++;
		close(c->fd);
		c->fd = -1;
		return;
	}
	connects++;
	epoll_ctl(epoll_fd, EPOLL_CTL_ADD, c->fd, &e);
}

static void
conn_lose(struct conn *c)
{
	count_lost(c);
	close(c->fd);
	c->fd = -1;
}

static void
ask(struct conn *c)
{
	static int turn;
	char head[16384];
	int n;

	if (over || (limit && asked >= limit))
		return;
	c->line = nlines ? turn++ % nlines : 0;
	n = snprintf(head, sizeof(head), "GET %s HTTP/1.1\r\nHost: test.example\r\n%s%s%s\r\n", target, headers,
		     nlines ? lines[c->line] : "", nlines ? "\r\n" : "");
	c->at = now();
	asked++;
	c->asked = true;
	c->status = 0;
	tallies[nlines].sent++;
	if (nlines)
		tallies[c->line].sent++;
	if (send(c->fd, head, (size_t)n, MSG_NOSIGNAL) != n)
		conn_lose(c);
}

static void
answer_done(struct conn *c)
{
	answered++;
	tallies[nlines].status[c->status]++;
	if (nlines)
		tallies[c->line].status[c->status]++;
	if (out && c->status / 100 == 2)
		fprintf(out, "%llu %llu\n", (unsigned long long)c->at,
			(unsigned long long)now());
	c->asked = false;
	if (c->close)
		conn_lose(c);
	else
		ask(c);
}

/* The head of an answer is there: how long is its body? false: not understood. */
static bool
take_head(struct conn *c, size_t n)
{
	char *line = c->buf, *end = c->buf + n;
	size_t length = 0;

	end[-2] = 0;
	if (sscanf(line, "HTTP/1.1 %d", &c->status) != 1 || c->status < 200 ||
	    c->status >= STATUSES)
		return false;
	while ((line = strstr(line, "\r\n"))) {
		line += 2;
		if (strncasecmp(line, "content-length:", 15) == 0)
			length = strtoul(line + 15, NULL, 10);
		else if (strncasecmp(line, "connection: close", 17) == 0)
			c->close = true;
		else if (strncasecmp(line, "transfer-encoding:", 18) == 0)
			return false;
	}
	memmove(c->buf, c->buf + n, c->have - n);
	c->have -= n;
	c->skip = length;
	return true;
}

static void
read_answers(struct conn *c)
{
	while (c->fd >= 0) {
		ssize_t n = recv(c->fd, c->buf + c->have, sizeof(c->buf) - c->have, 0);
		char *end;

		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0) {
			conn_lose(c);
			return;
		}
		c->have += (size_t)n;
		if (!c->status) {
			end = memmem(c->buf, c->have, "\r\n\r\n", 4);
			if (!end)
				continue;
			if (!take_head(c, (size_t)(end - c->buf) + 4)) {
				fprintf(stderr, "load: what is this answer? %.200s\n", c->buf);
				exit(1);
			}
		}
		if (c->have < c->skip) {
			c->skip -= c->have;
			c->have = 0;
			continue;
		}
		memmove(c->buf, c->buf + c->skip, c->have - c->skip);
		c->have -= c->skip;
		c->skip = 0;
		answer_done(c);
	}
}

static void
read_lines(const char *path)
{
	FILE *f = fopen(path, "r");
	char buf[4096];

	if (!f) {
		perror(path);
		exit(1);
	}
	while (nlines < LINES_MOST && fgets(buf, sizeof(buf), f)) {
		buf[strcspn(buf, "\r\n")] = 0;
		if (*buf)
			lines[nlines++] = strdup(buf);
	}
	fclose(f);
}

static void
print_tally(const struct tally *t)
{
	const char *comma = "";

	printf("{\"sent\":%llu,\"lost\":%llu,\"status\":{", (unsigned long long)t->sent,
	       (unsigned long long)t->lost);
	for (int s = 0; s < STATUSES; s++)
		if (t->status[s]) {
			printf("%s\"%d\":%llu", comma, s,
			       (unsigned long long)t->status[s]);
			comma = ",";
		}
	printf("}}");
}

static void
turn(struct conn *conns, int n)
{
	struct epoll_event e[256];
	int got = epoll_wait(epoll_fd, e, 256, 5);

	for (int i = 0; i < got; i++) {
		struct conn *c = e[i].data.ptr;

		if (c->fd < 0)
			continue;
		if (!c->up && (e[i].events & EPOLLOUT) &&
		    !(e[i].events & (EPOLLERR | EPOLLHUP))) {
			c->up = true;
			ask(c);
		}
		if (c->fd >= 0 && (e[i].events & ~(uint32_t)EPOLLOUT))
			read_answers(c);
	}
	/* Broken ones are made anew, at most every 5 ms. */
	for (int i = 0; i < n && !over; i++)
		if (conns[i].fd < 0)
			conn_open(&conns[i]);
}

static void
run(struct conn *conns, int n, uint64_t seconds_ns)
{
	uint64_t began = now(), drain;

	for (int i = 0; i < n; i++)
		conn_open(&conns[i]);
	while (!over && now() < began + seconds_ns &&
	       (!limit || answered + tallies[nlines].lost < limit))
		turn(conns, n);
	/* What is under way may end. */
	over = 1;
	for (drain = now() + 10000000000ull; now() < drain;) {
		bool busy = false;

		for (int i = 0; i < n; i++)
			busy |= conns[i].fd >= 0 && conns[i].asked;
		if (!busy)
			break;
		turn(conns, n);
	}
	for (int i = 0; i < n; i++)
		if (conns[i].fd >= 0)
			conn_lose(&conns[i]);
	stop_at = now();
	printf("{\"began\":%llu,\"ended\":%llu,\"connects\":%llu,\"refused\":%llu,"
	       "\"all\":",
	       (unsigned long long)began, (unsigned long long)stop_at,
	       (unsigned long long)connects, (unsigned long long)refused);
	print_tally(&tallies[nlines]);
	printf(",\"lines\":[");
	for (int i = 0; i < nlines; i++) {
		printf("%s", i ? "," : "");
		print_tally(&tallies[i]);
	}
	printf("]}\n");
}

int
main(int argc, char **argv)
{
	struct sigaction sa = { .sa_handler = on_term };
	struct conn *conns;
	double seconds = 1e6;
	int c, n = 32;

	while ((c = getopt(argc, argv, "c:t:n:u:H:f:o:")) != -1)
		switch (c) {
		case 'c': n = atoi(optarg); break;
		case 't': seconds = atof(optarg); break;
		case 'n': limit = strtoull(optarg, NULL, 10); break;
		case 'u': target = optarg; break;
		case 'H': strcat(strcat(headers, optarg), "\r\n"); break;
		case 'f': read_lines(optarg); break;
		case 'o': out = fopen(optarg, "w"); break;
		default: return 2;
		}
	if (optind + 1 != argc || n < 1 || n > CONNECTIONS_MOST)
		return 2;
	to = (struct sockaddr_in){ .sin_family = AF_INET,
				   .sin_port = htons((uint16_t)atoi(argv[optind])),
				   .sin_addr = { htonl(INADDR_LOOPBACK) } };
	sigaction(SIGTERM, &sa, NULL);
	conns = calloc((size_t)n, sizeof(*conns));
	tallies = calloc((size_t)nlines + 1, sizeof(*tallies));
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	run(conns, n, (uint64_t)(seconds * 1e9));
	if (out)
		fclose(out);
	return 0;
}
