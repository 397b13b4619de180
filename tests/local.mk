# What make check runs besides unit tests and fuzz seeds.
dist_check_SCRIPTS += scripts/check-floors scripts/check-style
if HAVE_PYTHON3
TESTS += scripts/check-floors scripts/check-style
endif

EXTRA_DIST += .clang-format .editorconfig CONTRIBUTING.md LICENSE \
	scripts tests/e2e tests/conf tests/bench
EXTRA_DIST += .clang-tidy
