# unit tests of worker

check_PROGRAMS += tests/unit/worker/test_dryrun
tests_unit_worker_test_dryrun_SOURCES = tests/unit/worker/test_dryrun.c
tests_unit_worker_test_dryrun_LDADD = $(UNIT_LIBS_worker)
TESTS += tests/unit/worker/test_dryrun
check_PROGRAMS += tests/unit/worker/test_channel
tests_unit_worker_test_channel_SOURCES = tests/unit/worker/test_channel.c
tests_unit_worker_test_channel_LDADD = $(UNIT_LIBS_worker)
TESTS += tests/unit/worker/test_channel
