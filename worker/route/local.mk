libroute_a_SOURCES = worker/route/find.c worker/route/host.c worker/route/match.c worker/route/route.c \
	worker/route/shadow.c worker/route/trie.c worker/route/when.c worker/route/build.h \
	worker/route/match.h worker/route/route.h worker/route/shadow.h worker/route/trie.h worker/route/when.h
