/* fake_shared — what the fake worker shares with others: a region of its own, and a directory. */
#ifndef TESTS_EXCHANGE_FAKE_SHARED_H
#define TESTS_EXCHANGE_FAKE_SHARED_H

#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/exchange/fake.h"

#include "shm/store_consumers.h"
#include "worker/exchange/directory.h"

static struct shared fake_shared;
static char fake_dir[64], fake_region[96], fake_store[96];

static inline void
fake_share(void)
{
	struct region *r;

	strcpy(fake_dir, "/tmp/postern-shared-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(fake_dir));
	snprintf(fake_region, sizeof fake_region, "%s/region", fake_dir);
	snprintf(fake_store, sizeof fake_store, "%s/state", fake_dir);
	r = region_open(fake_region, REGION_SIZE);
	ck_assert_ptr_nonnull(r);
	ck_assert_int_eq(shared_open(&fake_shared, r), 0);
	ck_assert_int_eq(shared_reserve_row(&fake_shared, 1), 0);
	ck_assert_int_eq(shared_reserve_row(&fake_shared, 2), 0);
	ck_assert_int_eq(cells_reserve(r, fake_shared.cells), 0);
	ck_assert_int_eq(quotas_reserve(r, fake_shared.quotas), 0);
	ck_assert_int_eq(inflight_reserve(r, &fake_shared.inflight), 0);
	fake_worker.shared = &fake_shared;
	fake_worker.row = 1;
	clock_update();
	fake_worker.directory = directory_new(str_of(fake_dir), &fake_shared);
}

static inline void
fake_unshare(void)
{
	char lock[128];

	directory_free(fake_worker.directory);
	fake_worker.directory = NULL;
	region_close(fake_shared.region);
	snprintf(lock, sizeof lock, "%s-lock", fake_store);
	unlink(fake_region);
	unlink(fake_store);
	unlink(lock);
	rmdir(fake_dir);
}

#endif
