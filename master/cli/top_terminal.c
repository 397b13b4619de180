#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "master/cli/top.h"

/* Another screen, no cursor, no wrapping at its edge; and all of it back. */
#define ENTER "\033[?1049h\033[?25l\033[?7l\033[H\033[2J"
#define LEAVE "\033[0m\033[?7h\033[?25h\033[?1049l"

static struct {
	struct termios before;          /* as we found it */
	volatile sig_atomic_t taken;
	volatile sig_atomic_t end, resized;
	sigset_t unblocked;             /* while waiting */
	unsigned char keys[64];         /* read and not yet handed out */
	size_t have;
} terminal;

static int
write_all(const char *at, size_t n)
{
	while (n) {
		ssize_t done = write(STDOUT_FILENO, at, n);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0 && errno == EAGAIN) {
			struct pollfd p = { .fd = STDOUT_FILENO, .events = POLLOUT };

			if (poll(&p, 1, 5000) > 0)
				continue;
		}
		if (done <= 0)
			return -1;
		at += done;
		n -= (size_t)done;
	}
	return 0;
}

/* From handlers too: nothing here but system calls. */
static void
give_back(void)
{
	if (!terminal.taken)
		return;
	terminal.taken = 0;
	write_all(LEAVE, sizeof(LEAVE) - 1);
	tcsetattr(STDIN_FILENO, TCSANOW, &terminal.before);
}

static int
take(void)
{
	struct termios raw = terminal.before;

	raw.c_iflag &= (tcflag_t)~(IXON | ICRNL | INLCR | IGNCR | BRKINT);
	raw.c_lflag &= (tcflag_t)~(ECHO | ECHONL | ICANON | IEXTEN);
	raw.c_cc[VMIN] = 1;
	raw.c_cc[VTIME] = 0;
	terminal.taken = 1;
	if (tcsetattr(STDIN_FILENO, TCSANOW, &raw) < 0 ||
	    write_all(ENTER, sizeof(ENTER) - 1) < 0) {
		give_back();
		return -1;
	}
	return 0;
}

static void
on_end(int sig)
{
	(void)sig;
	terminal.end = 1;
}

static void
on_resize(int sig)
{
	(void)sig;
	terminal.resized = 1;
}

/* As any program at ctrl-z: the shell gets its screen, and we ours when it lets us go on.
 */
static void
on_suspend(int sig)
{
	int error = errno;

	(void)sig;
	give_back();
	raise(SIGSTOP);
	take();
	terminal.resized = 1;
	errno = error;
}

static void
on_crash(int sig)
{
	give_back();
	/* SA_RESETHAND: what would have happened without us. */
	raise(sig);
}

static void
handle(int sig, void (*fn)(int), int flags)
{
	struct sigaction sa = { .sa_handler = fn, .sa_flags = flags };

	sigemptyset(&sa.sa_mask);
	sigaction(sig, &sa, NULL);
}

static void
handle_all(void)
{
	static const int ends[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
	static const int crashes[] = { SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL };
	sigset_t block;

	sigemptyset(&block);
	for (size_t i = 0; i < sizeof(ends) / sizeof(*ends); i++) {
		handle(ends[i], on_end, 0);
		sigaddset(&block, ends[i]);
	}
	for (size_t i = 0; i < sizeof(crashes) / sizeof(*crashes); i++)
		handle(crashes[i], on_crash, (int)SA_RESETHAND | SA_NODEFER);
	handle(SIGWINCH, on_resize, 0);
	sigaddset(&block, SIGWINCH);
	handle(SIGTSTP, on_suspend, 0);
	sigaddset(&block, SIGTSTP);
	handle(SIGPIPE, SIG_IGN, 0);
	/* They come through only while we wait, so that none is missed in between. */
	sigprocmask(SIG_BLOCK, &block, &terminal.unblocked);
}

int
top_terminal_open(void)
{
	if (tcgetattr(STDIN_FILENO, &terminal.before) < 0)
		return -1;
	handle_all();
	atexit(give_back);
	return take();
}

void
top_terminal_close(void)
{
	give_back();
}

bool
top_terminal_able(void)
{
	const char *term = getenv("TERM");

	return !term || (*term && strcmp(term, "dumb") != 0);
}

static int
number_of(const char *variable)
{
	const char *text = getenv(variable);
	unsigned long long n = 0;

	return text && str_u64(str_of(text), 1000, &n) ? (int)n : 0;
}

void
top_terminal_size(int *width, int *height)
{
	struct winsize w = { 0 };

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) < 0)
		w.ws_col = w.ws_row = 0;
	*width = w.ws_col ? w.ws_col : number_of("COLUMNS");
	*height = w.ws_row ? w.ws_row : number_of("LINES");
	if (*width < 1)
		*width = 80;
	if (*height < 1)
		*height = 24;
}

/* ---- keys */

static const struct {
	const char *bytes;
	int key;
} keys[] = {
	{ "q", TOP_KEY_QUIT }, { "Q", TOP_KEY_QUIT },
	{ "\t", TOP_KEY_TAB }, { "\033[Z", TOP_KEY_BACKTAB },
	{ "\033[C", TOP_KEY_TAB }, { "\033[D", TOP_KEY_BACKTAB },
	{ "\033OC", TOP_KEY_TAB }, { "\033OD", TOP_KEY_BACKTAB },
	{ "s", TOP_KEY_SORT }, { "p", TOP_KEY_PAUSE }, { " ", TOP_KEY_PAUSE },
	{ "h", TOP_KEY_HELP }, { "?", TOP_KEY_HELP },
	{ "\033[A", TOP_KEY_UP }, { "\033OA", TOP_KEY_UP }, { "k", TOP_KEY_UP },
	{ "\033[B", TOP_KEY_DOWN }, { "\033OB", TOP_KEY_DOWN }, { "j", TOP_KEY_DOWN },
	{ "\033[5~", TOP_KEY_PAGE_UP }, { "\033[6~", TOP_KEY_PAGE_DOWN },
	{ "\033[H", TOP_KEY_HOME }, { "\033OH", TOP_KEY_HOME }, { "\033[1~", TOP_KEY_HOME },
	{ "\033[F", TOP_KEY_END }, { "\033OF", TOP_KEY_END }, { "\033[4~", TOP_KEY_END },
	{ "\f", TOP_KEY_REDRAW },
};

/* How many bytes an escape sequence has that is no key of ours. */
static size_t
sequence_length(void)
{
	const unsigned char *k = terminal.keys;
	size_t i = 2;

	if (terminal.have < 2 || (k[1] != '[' && k[1] != 'O'))
		return 1;
	while (i < terminal.have && (k[i] < 0x40 || k[i] > 0x7e))
		i++;
	return i < terminal.have ? i + 1 : i;
}

static int
next_key(void)
{
	size_t used = 0;
	int key = TOP_KEY_NONE;

	if (terminal.keys[0] >= '0' && terminal.keys[0] <= '0' + TOP_PANES) {
		key = TOP_KEY_PANE + terminal.keys[0] - '0';
		used = 1;
	}
	for (size_t i = 0; !used && i < sizeof(keys) / sizeof(*keys); i++) {
		size_t n = strlen(keys[i].bytes);

		if (n <= terminal.have && memcmp(terminal.keys, keys[i].bytes, n) == 0) {
			key = keys[i].key;
			used = n;
		}
	}
	if (!used)
		used = terminal.keys[0] == '\033' ? sequence_length() : 1;
	terminal.have -= used;
	memmove(terminal.keys, terminal.keys + used, terminal.have);
	return key;
}

static uint64_t
now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* 1: there are keys, 0: time is over or a signal came, -1: stdin has ended. */
static int
wait_input(int ms)
{
	struct pollfd p = { .fd = STDIN_FILENO, .events = POLLIN };
	struct timespec t = { ms / 1000, ms % 1000 * 1000000L };
	int n = ppoll(&p, 1, &t, &terminal.unblocked);
	ssize_t got;

	if (n <= 0)
		return n < 0 && errno != EINTR ? -1 : 0;
	got = read(STDIN_FILENO, terminal.keys + terminal.have,
		   sizeof(terminal.keys) - terminal.have);
	if (got > 0)
		terminal.have += (size_t)got;
	return got > 0 || (got < 0 && (errno == EINTR || errno == EAGAIN)) ? 1 : -1;
}

int
top_terminal_key(int ms)
{
	uint64_t end = now_ms() + (uint64_t)(ms > 0 ? ms : 0);

	for (;;) {
		uint64_t now = now_ms();
		int key;

		while (terminal.have)
			if ((key = next_key()) != TOP_KEY_NONE)
				return key;
		if (terminal.end)
			return TOP_KEY_QUIT;
		if (terminal.resized) {
			terminal.resized = 0;
			return TOP_KEY_REDRAW;
		}
		if (now >= end && ms >= 0)
			ms = -1;                /* one look, without waiting */
		else if (now >= end)
			return TOP_KEY_NONE;
		if (wait_input(now < end ? (int)(end - now) : 0) < 0)
			return TOP_KEY_QUIT;
	}
}

/* ---- showing */

int
top_terminal_show(const struct top_text *t, int height)
{
	struct top_text out = { 0 };
	size_t at = 0;
	char move[32];
	int rc;

	out.room = t->len + (size_t)height * 24 + 64;
	out.at = malloc(out.room);
	if (!out.at)
		return 0;
	for (int line = 1; at < t->len && line <= height; line++) {
		const char *end = memchr(t->at + at, '\n', t->len - at);
		size_t n = end ? (size_t)(end - t->at) - at : t->len - at;
		int m = snprintf(move, sizeof(move), "\033[%d;1H\033[2K", line);

		memcpy(out.at + out.len, move, (size_t)m);
		memcpy(out.at + out.len + (size_t)m, t->at + at, n);
		out.len += (size_t)m + n;
		at += n + 1;
	}
	memcpy(out.at + out.len, "\033[J", 3);
	rc = write_all(out.at, out.len);
	free(out.at);
	return rc;
}
