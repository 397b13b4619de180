# What make check runs besides unit tests and fuzz seeds.
dist_check_SCRIPTS += scripts/check-floors scripts/check-style
TESTS += scripts/check-floors scripts/check-style

EXTRA_DIST += .clang-format .editorconfig CONTRIBUTING.md LICENSE \
	scripts tests/e2e tests/conf tests/bench
EXTRA_DIST += .clang-tidy
