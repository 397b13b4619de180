libupstream_a_SOURCES = worker/upstream/upstream.h 
