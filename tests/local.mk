# What make check runs besides unit tests and fuzz seeds.
dist_check_SCRIPTS += scripts/check-floors scripts/check-style
if HAVE_PYTHON3
TESTS += scripts/check-floors scripts/check-style
endif

EXTRA_DIST += .clang-format .editorconfig CONTRIBUTING.md LICENSE \
	scripts tests/e2e tests/conf tests/bench
EXTRA_DIST += .clang-tidy

# Figures, not a test: make tests/bench/bench_limits && tests/bench/bench_limits
EXTRA_PROGRAMS += tests/bench/bench_limits tests/bench/bench_store
tests_bench_bench_limits_SOURCES = tests/bench/bench_limits.c
tests_bench_bench_limits_LDADD = $(LIBS_shm)
tests_bench_bench_store_SOURCES = tests/bench/bench_store.c
tests_bench_bench_store_LDADD = $(LIBS_shm)
