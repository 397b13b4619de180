libbase_a_SOURCES = base/siphash.c base/siphash.h base/str.c base/str.h base/arena.c base/arena.h base/chain.c base/chain.h \
	base/clock.c base/clock.h base/log.c base/log.h base/diag.c base/diag.h base/regex.c base/regex.h \
	base/json_write.c base/json_write.h base/rand.c base/rand.h base/map.c base/map.h base/list.h \
	base/crypto.c base/crypto.h base/base64.c base/base64.h
