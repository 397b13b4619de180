# unit tests of upstream

check_PROGRAMS += tests/unit/upstream/test_resolve
tests_unit_upstream_test_resolve_SOURCES = tests/unit/upstream/test_resolve.c
tests_unit_upstream_test_resolve_LDADD = $(UNIT_LIBS_upstream)
TESTS += tests/unit/upstream/test_resolve

check_PROGRAMS += tests/unit/upstream/test_balance
tests_unit_upstream_test_balance_SOURCES = tests/unit/upstream/test_balance.c
tests_unit_upstream_test_balance_LDADD = $(UNIT_LIBS_upstream)
TESTS += tests/unit/upstream/test_balance
