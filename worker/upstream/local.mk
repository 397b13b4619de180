libupstream_a_SOURCES = worker/upstream/cluster.c worker/upstream/balance_rr.c worker/upstream/pool.c worker/upstream/resolve.c worker/upstream/upstream.h
