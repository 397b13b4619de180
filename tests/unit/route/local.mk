# unit tests of route
EXTRA_DIST += tests/unit/route/model.h

check_PROGRAMS += tests/unit/route/test_find
tests_unit_route_test_find_SOURCES = tests/unit/route/test_find.c
tests_unit_route_test_find_LDADD = $(UNIT_LIBS_route)
TESTS += tests/unit/route/test_find

check_PROGRAMS += tests/unit/route/test_compile
tests_unit_route_test_compile_SOURCES = tests/unit/route/test_compile.c
tests_unit_route_test_compile_LDADD = $(UNIT_LIBS_route)
TESTS += tests/unit/route/test_compile

# Figures, not a test: make tests/bench/bench_route && tests/bench/bench_route
EXTRA_PROGRAMS += tests/bench/bench_route
tests_bench_bench_route_SOURCES = tests/bench/bench_route.c
tests_bench_bench_route_LDADD = $(LIBS_route)
