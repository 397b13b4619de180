#include "worker/crash.h"

#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#include "worker/exchange/context.h"

enum { STACK = 64 * 1024, PAGE = 4096 };

/* A handler gets no argument. */
static struct ring *volatile ring;

extern char end;                        /* of what the linker has laid out: end(3) */

/* Keys of TLS lie in the heap, where OpenSSL has them: it is left out of a core. Stacks,
 * registers and globals are in it: they show where it happened. (madvise() goes on behind
 * gaps.) */
static void
hide_heap(void)
{
	uintptr_t from = ((uintptr_t)&end + PAGE - 1) & ~(uintptr_t)(PAGE - 1);
	uintptr_t to = (uintptr_t)sbrk(0);

	if (to > from)
		madvise((void *)from, to - from, MADV_DONTDUMP);
}

/* The route counts once it was found, as in the check before the policies. */
static void
crashed(int sig)
{
	const struct exchange *x = exchange_running();
	uint32_t route;

	if (x && ring) {
		route = x->routed && x->match.route ? x->match.route->series : 0;
		ring_crashed(ring, exchange_signature(x, route), route);
	}
	hide_heap();
	raise(sig); /* what it does by default, at the place of the fault: SA_RESETHAND */
}

void
crash_install(struct ring *r)
{
	static const int fatal[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT };
	static char stack[STACK];
	const stack_t ours = { .ss_sp = stack, .ss_size = sizeof(stack) };
	stack_t there;
	struct sigaction act = { .sa_handler = crashed,
				 .sa_flags = SA_ONSTACK | SA_RESETHAND };
	struct sigaction now;

	ring = r;
	if (sigaltstack(NULL, &there) == 0 && there.ss_flags & SS_DISABLE)
		sigaltstack(&ours, NULL);
	sigemptyset(&act.sa_mask);
	for (size_t i = 0; i < sizeof(fatal) / sizeof(*fatal); i++)
		if (sigaction(fatal[i], NULL, &now) == 0 &&
		    !(now.sa_flags & SA_SIGINFO) && now.sa_handler == SIG_DFL)
			sigaction(fatal[i], &act, NULL);
}
