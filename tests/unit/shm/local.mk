# unit tests of shm
check_PROGRAMS += tests/unit/shm/test_region
tests_unit_shm_test_region_SOURCES = tests/unit/shm/test_region.c
tests_unit_shm_test_region_LDADD = $(UNIT_LIBS_shm)
TESTS += tests/unit/shm/test_region
check_PROGRAMS += tests/unit/shm/test_slots
tests_unit_shm_test_slots_SOURCES = tests/unit/shm/test_slots.c
tests_unit_shm_test_slots_LDADD = $(UNIT_LIBS_shm)
TESTS += tests/unit/shm/test_slots
check_PROGRAMS += tests/unit/shm/test_stats
tests_unit_shm_test_stats_SOURCES = tests/unit/shm/test_stats.c
tests_unit_shm_test_stats_LDADD = $(UNIT_LIBS_shm)
TESTS += tests/unit/shm/test_stats
check_PROGRAMS += tests/unit/shm/test_records
tests_unit_shm_test_records_SOURCES = tests/unit/shm/test_records.c
tests_unit_shm_test_records_LDADD = $(UNIT_LIBS_shm)
TESTS += tests/unit/shm/test_records
check_PROGRAMS += tests/unit/shm/test_store
tests_unit_shm_test_store_SOURCES = tests/unit/shm/test_store.c
tests_unit_shm_test_store_LDADD = $(UNIT_LIBS_shm)
TESTS += tests/unit/shm/test_store

check_PROGRAMS += tests/unit/shm/test_cells
tests_unit_shm_test_cells_SOURCES = tests/unit/shm/test_cells.c
tests_unit_shm_test_cells_LDADD = $(UNIT_LIBS_shm)
TESTS += tests/unit/shm/test_cells

# All interleavings of a few processes. The stacks that these switch between are not for the sanitizers.
STEPS_CFLAGS = $(AM_CFLAGS) -fno-sanitize=all
check_PROGRAMS += tests/unit/shm/test_cells_steps
tests_unit_shm_test_cells_steps_SOURCES = tests/unit/shm/test_cells_steps.c tests/unit/shm/interleave.h
tests_unit_shm_test_cells_steps_CFLAGS = $(STEPS_CFLAGS)
tests_unit_shm_test_cells_steps_LDADD = $(UNIT_LIBS_shm)
TESTS += tests/unit/shm/test_cells_steps
check_PROGRAMS += tests/unit/shm/test_quotas_steps
tests_unit_shm_test_quotas_steps_SOURCES = tests/unit/shm/test_quotas_steps.c tests/unit/shm/interleave.h
tests_unit_shm_test_quotas_steps_CFLAGS = $(STEPS_CFLAGS)
tests_unit_shm_test_quotas_steps_LDADD = $(UNIT_LIBS_shm)
TESTS += tests/unit/shm/test_quotas_steps
check_PROGRAMS += tests/unit/shm/test_ledger_steps
tests_unit_shm_test_ledger_steps_SOURCES = tests/unit/shm/test_ledger_steps.c tests/unit/shm/interleave.h
tests_unit_shm_test_ledger_steps_CFLAGS = $(STEPS_CFLAGS)
tests_unit_shm_test_ledger_steps_LDADD = $(UNIT_LIBS_shm)
TESTS += tests/unit/shm/test_ledger_steps
check_PROGRAMS += tests/unit/shm/test_inflight_steps
tests_unit_shm_test_inflight_steps_SOURCES = tests/unit/shm/test_inflight_steps.c tests/unit/shm/interleave.h
tests_unit_shm_test_inflight_steps_CFLAGS = $(STEPS_CFLAGS)
tests_unit_shm_test_inflight_steps_LDADD = $(UNIT_LIBS_shm)
TESTS += tests/unit/shm/test_inflight_steps
