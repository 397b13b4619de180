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
