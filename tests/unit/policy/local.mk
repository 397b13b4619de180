# unit tests of policy
EXTRA_DIST += tests/unit/policy/try.h

check_PROGRAMS += tests/unit/policy/test_access_log
tests_unit_policy_test_access_log_SOURCES = tests/unit/policy/test_access_log.c
tests_unit_policy_test_access_log_LDADD = $(UNIT_LIBS_policy)
TESTS += tests/unit/policy/test_access_log

check_PROGRAMS += tests/unit/policy/test_answers
tests_unit_policy_test_answers_SOURCES = tests/unit/policy/test_answers.c
tests_unit_policy_test_answers_LDADD = $(UNIT_LIBS_policy)
TESTS += tests/unit/policy/test_answers

check_PROGRAMS += tests/unit/policy/test_cors
tests_unit_policy_test_cors_SOURCES = tests/unit/policy/test_cors.c
tests_unit_policy_test_cors_LDADD = $(UNIT_LIBS_policy)
TESTS += tests/unit/policy/test_cors

check_PROGRAMS += tests/unit/policy/test_escape
tests_unit_policy_test_escape_SOURCES = tests/unit/policy/test_escape.c
tests_unit_policy_test_escape_LDADD = $(UNIT_LIBS_policy)
TESTS += tests/unit/policy/test_escape

check_PROGRAMS += tests/unit/policy/test_headers
tests_unit_policy_test_headers_SOURCES = tests/unit/policy/test_headers.c
tests_unit_policy_test_headers_LDADD = $(UNIT_LIBS_policy)
TESTS += tests/unit/policy/test_headers

check_PROGRAMS += tests/unit/policy/test_request_id
tests_unit_policy_test_request_id_SOURCES = tests/unit/policy/test_request_id.c
tests_unit_policy_test_request_id_LDADD = $(UNIT_LIBS_policy)
TESTS += tests/unit/policy/test_request_id

check_PROGRAMS += tests/unit/policy/test_size_limit
tests_unit_policy_test_size_limit_SOURCES = tests/unit/policy/test_size_limit.c
tests_unit_policy_test_size_limit_LDADD = $(UNIT_LIBS_policy)
TESTS += tests/unit/policy/test_size_limit

check_PROGRAMS += tests/unit/policy/test_api_key
tests_unit_policy_test_api_key_SOURCES = tests/unit/policy/test_api_key.c
tests_unit_policy_test_api_key_LDADD = $(UNIT_LIBS_policy)
TESTS += tests/unit/policy/test_api_key

check_PROGRAMS += tests/unit/policy/test_limits
tests_unit_policy_test_limits_SOURCES = tests/unit/policy/test_limits.c
tests_unit_policy_test_limits_LDADD = $(UNIT_LIBS_policy)
TESTS += tests/unit/policy/test_limits
