check_PROGRAMS += tests/unit/conf/test_scan
tests_unit_conf_test_scan_SOURCES = tests/unit/conf/test_scan.c
tests_unit_conf_test_scan_LDADD = $(UNIT_LIBS_conf)
TESTS += tests/unit/conf/test_scan

check_PROGRAMS += tests/unit/conf/test_units
tests_unit_conf_test_units_SOURCES = tests/unit/conf/test_units.c
tests_unit_conf_test_units_LDADD = $(UNIT_LIBS_conf)
TESTS += tests/unit/conf/test_units

check_PROGRAMS += tests/unit/conf/test_field
tests_unit_conf_test_field_SOURCES = tests/unit/conf/test_field.c tests/unit/conf/try.h tests/unit/conf/sample.h
tests_unit_conf_test_field_LDADD = $(UNIT_LIBS_conf)
TESTS += tests/unit/conf/test_field

check_PROGRAMS += tests/unit/conf/test_load
tests_unit_conf_test_load_SOURCES = tests/unit/conf/test_load.c tests/unit/conf/try.h
tests_unit_conf_test_load_LDADD = $(UNIT_LIBS_conf)
TESTS += tests/unit/conf/test_load

check_PROGRAMS += tests/unit/conf/test_windows
tests_unit_conf_test_windows_SOURCES = tests/unit/conf/test_windows.c
tests_unit_conf_test_windows_LDADD = $(UNIT_LIBS_conf)
TESTS += tests/unit/conf/test_windows

check_PROGRAMS += tests/unit/conf/test_plans
tests_unit_conf_test_plans_SOURCES = tests/unit/conf/test_plans.c tests/unit/conf/try.h
tests_unit_conf_test_plans_LDADD = $(UNIT_LIBS_conf)
TESTS += tests/unit/conf/test_plans

check_PROGRAMS += tests/unit/conf/test_consumers
tests_unit_conf_test_consumers_SOURCES = tests/unit/conf/test_consumers.c tests/unit/conf/try.h
tests_unit_conf_test_consumers_LDADD = $(UNIT_LIBS_conf)
TESTS += tests/unit/conf/test_consumers

check_PROGRAMS += tests/unit/conf/test_tls
tests_unit_conf_test_tls_SOURCES = tests/unit/conf/test_tls.c tests/unit/conf/try.h
tests_unit_conf_test_tls_LDADD = $(UNIT_LIBS_conf)
TESTS += tests/unit/conf/test_tls

# The exact text of every finding, and hostile files.
dist_check_SCRIPTS += tests/conf/golden
TESTS += tests/conf/golden
