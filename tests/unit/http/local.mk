# unit tests of http

check_PROGRAMS += tests/unit/http/test_uri
tests_unit_http_test_uri_SOURCES = tests/unit/http/test_uri.c
tests_unit_http_test_uri_LDADD = $(UNIT_LIBS_http)
TESTS += tests/unit/http/test_uri
