/* The store when disks fail, writers are killed and files are damaged. */
#include "tests/unit/shm/place.h"

int
main(void)
{
	return place_run("shm/store_failures", NULL, 0);
}
