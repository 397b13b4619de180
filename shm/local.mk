libshm_a_SOURCES = shm/metrics.def \
	shm/cells.c shm/cells.h shm/records.c shm/records.h \
	shm/region.c shm/region.h \
	shm/slots.c shm/slots.h \
	shm/stats.c shm/stats.h \
	shm/store.c shm/store.h
