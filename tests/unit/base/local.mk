check_PROGRAMS += tests/unit/base/test_str
tests_unit_base_test_str_SOURCES = tests/unit/base/test_str.c
tests_unit_base_test_str_LDADD = $(UNIT_LIBS_base)
TESTS += tests/unit/base/test_str

check_PROGRAMS += tests/unit/base/test_arena
tests_unit_base_test_arena_SOURCES = tests/unit/base/test_arena.c
tests_unit_base_test_arena_LDADD = $(UNIT_LIBS_base)
TESTS += tests/unit/base/test_arena

check_PROGRAMS += tests/unit/base/test_chain
tests_unit_base_test_chain_SOURCES = tests/unit/base/test_chain.c
tests_unit_base_test_chain_LDADD = $(UNIT_LIBS_base)
TESTS += tests/unit/base/test_chain

check_PROGRAMS += tests/unit/base/test_clock
tests_unit_base_test_clock_SOURCES = tests/unit/base/test_clock.c
tests_unit_base_test_clock_LDADD = $(UNIT_LIBS_base)
TESTS += tests/unit/base/test_clock

check_PROGRAMS += tests/unit/base/test_map
tests_unit_base_test_map_SOURCES = tests/unit/base/test_map.c
tests_unit_base_test_map_LDADD = $(UNIT_LIBS_base)
TESTS += tests/unit/base/test_map

check_PROGRAMS += tests/unit/base/test_json_write
tests_unit_base_test_json_write_SOURCES = tests/unit/base/test_json_write.c
tests_unit_base_test_json_write_LDADD = $(UNIT_LIBS_base)
TESTS += tests/unit/base/test_json_write

check_PROGRAMS += tests/unit/base/test_diag
tests_unit_base_test_diag_SOURCES = tests/unit/base/test_diag.c
tests_unit_base_test_diag_LDADD = $(UNIT_LIBS_base)
TESTS += tests/unit/base/test_diag

check_PROGRAMS += tests/unit/base/test_regex
tests_unit_base_test_regex_SOURCES = tests/unit/base/test_regex.c
tests_unit_base_test_regex_LDADD = $(UNIT_LIBS_base)
TESTS += tests/unit/base/test_regex

check_PROGRAMS += tests/unit/base/test_log
tests_unit_base_test_log_SOURCES = tests/unit/base/test_log.c
tests_unit_base_test_log_LDADD = $(UNIT_LIBS_base)
TESTS += tests/unit/base/test_log

EXTRA_DIST += tests/unit/unit.h

check_PROGRAMS += tests/unit/base/test_siphash
tests_unit_base_test_siphash_SOURCES = tests/unit/base/test_siphash.c
tests_unit_base_test_siphash_LDADD = $(UNIT_LIBS_base)
TESTS += tests/unit/base/test_siphash
check_PROGRAMS += tests/unit/base/test_crypto
tests_unit_base_test_crypto_SOURCES = tests/unit/base/test_crypto.c
tests_unit_base_test_crypto_LDADD = $(UNIT_LIBS_base)
TESTS += tests/unit/base/test_crypto
check_PROGRAMS += tests/unit/base/test_base64
tests_unit_base_test_base64_SOURCES = tests/unit/base/test_base64.c
tests_unit_base_test_base64_LDADD = $(UNIT_LIBS_base)
TESTS += tests/unit/base/test_base64
