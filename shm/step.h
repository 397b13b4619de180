/* step — where another process may come between: before each access to a word that is shared.
 *
 * Nothing, in postern. The tests that try all interleavings (tests/unit/shm/interleave.h) define it, and let
 * another actor go on here. Also how who has lost a race waits for a moment, so that the other gets further than one
 * step. */
#ifndef SHM_STEP_H
#define SHM_STEP_H

#ifndef SHM_STEP
#define SHM_STEP() ((void)0)
#endif

static inline void
step_aside(int turns)
{
	while (turns-- > 0)
#if defined(__x86_64__) || defined(__i386__)
		__builtin_ia32_pause();
#else
		__asm__ volatile("" ::: "memory");
#endif
}

#endif
