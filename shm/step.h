/* step — where another process may come between: before each access to a word that is shared.
 *
 * Nothing, in postern. The tests that try all interleavings (tests/unit/shm/interleave.h) define it, and let
 * another actor go on here. */
#ifndef SHM_STEP_H
#define SHM_STEP_H

#ifndef SHM_STEP
#define SHM_STEP() ((void)0)
#endif

#endif
