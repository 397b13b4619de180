# unit tests of http

check_PROGRAMS += tests/unit/http/test_uri
tests_unit_http_test_uri_SOURCES = tests/unit/http/test_uri.c
tests_unit_http_test_uri_LDADD = $(UNIT_LIBS_http)
TESTS += tests/unit/http/test_uri

check_PROGRAMS += tests/unit/http/test_token
tests_unit_http_test_token_SOURCES = tests/unit/http/test_token.c
tests_unit_http_test_token_LDADD = $(UNIT_LIBS_http)
TESTS += tests/unit/http/test_token

check_PROGRAMS += tests/unit/http/test_headers
tests_unit_http_test_headers_SOURCES = tests/unit/http/test_headers.c
tests_unit_http_test_headers_LDADD = $(UNIT_LIBS_http)
TESTS += tests/unit/http/test_headers

check_PROGRAMS += tests/unit/http/test_h1_request
tests_unit_http_test_h1_request_SOURCES = tests/unit/http/test_h1_request.c tests/unit/http/feed.h
tests_unit_http_test_h1_request_LDADD = $(UNIT_LIBS_http)
TESTS += tests/unit/http/test_h1_request

check_PROGRAMS += tests/unit/http/test_h1_response
tests_unit_http_test_h1_response_SOURCES = tests/unit/http/test_h1_response.c tests/unit/http/feed.h
tests_unit_http_test_h1_response_LDADD = $(UNIT_LIBS_http)
TESTS += tests/unit/http/test_h1_response

check_PROGRAMS += tests/unit/http/test_chunked
tests_unit_http_test_chunked_SOURCES = tests/unit/http/test_chunked.c
tests_unit_http_test_chunked_LDADD = $(UNIT_LIBS_http)
TESTS += tests/unit/http/test_chunked

check_PROGRAMS += tests/unit/http/test_write
tests_unit_http_test_write_SOURCES = tests/unit/http/test_write.c tests/unit/http/feed.h
tests_unit_http_test_write_LDADD = $(UNIT_LIBS_http)
TESTS += tests/unit/http/test_write

check_PROGRAMS += tests/unit/http/test_local
tests_unit_http_test_local_SOURCES = tests/unit/http/test_local.c
tests_unit_http_test_local_LDADD = $(UNIT_LIBS_http)
TESTS += tests/unit/http/test_local

# The same without SSE2.
check_PROGRAMS += tests/unit/http/test_h1_plain
tests_unit_http_test_h1_plain_SOURCES = tests/unit/http/test_h1_request.c \
	worker/http/h1_lines.c worker/http/h1_parse.c worker/http/h1_write.c
tests_unit_http_test_h1_plain_CPPFLAGS = $(AM_CPPFLAGS) -DSCAN_PLAIN
tests_unit_http_test_h1_plain_LDADD = $(UNIT_LIBS_http)
TESTS += tests/unit/http/test_h1_plain

check_PROGRAMS += tests/unit/http/test_h1
tests_unit_http_test_h1_SOURCES = tests/unit/http/test_h1.c
tests_unit_http_test_h1_LDADD = $(UNIT_LIBS_http)
TESTS += tests/unit/http/test_h1

check_PROGRAMS += tests/unit/http/test_h2
tests_unit_http_test_h2_SOURCES = tests/unit/http/test_h2.c tests/unit/http/h2_sides.h
tests_unit_http_test_h2_LDADD = $(UNIT_LIBS_http)
TESTS += tests/unit/http/test_h2

check_PROGRAMS += tests/unit/http/test_h2_frames
tests_unit_http_test_h2_frames_SOURCES = tests/unit/http/test_h2_frames.c tests/unit/http/h2_frames.h tests/unit/http/h2_sides.h
tests_unit_http_test_h2_frames_LDADD = $(UNIT_LIBS_http)
TESTS += tests/unit/http/test_h2_frames

check_PROGRAMS += tests/unit/http/test_h2_floods
tests_unit_http_test_h2_floods_SOURCES = tests/unit/http/test_h2_floods.c tests/unit/http/h2_frames.h tests/unit/http/h2_sides.h
tests_unit_http_test_h2_floods_LDADD = $(UNIT_LIBS_http)
TESTS += tests/unit/http/test_h2_floods
