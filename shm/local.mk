libshm_a_SOURCES = shm/metrics.def \
	shm/cells.c shm/cells.h \
	shm/control.c shm/control.h \
	shm/inflight.c shm/inflight.h \
	shm/ledger.c shm/ledger.h \
	shm/meters.c shm/meters.h \
	shm/poison.c shm/poison.h \
	shm/quotas.c shm/quotas.h \
	shm/records.c shm/records.h \
	shm/region.c shm/region.h \
	shm/shared.c shm/shared.h \
	shm/slots.c shm/slots.h \
	shm/stats.c shm/stats.h \
	shm/step.h shm/word.h \
	shm/tally.c shm/tally.h

# store
libshm_a_SOURCES += shm/store.c shm/store.h
