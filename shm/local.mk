libshm_a_SOURCES = shm/metrics.def \
	shm/cells.c shm/cells.h \
	shm/control.c shm/control.h \
	shm/inflight.c shm/inflight.h \
	shm/ledger.c shm/ledger.h \
	shm/meters.c shm/meters.h \
	shm/pace.c shm/pace.h \
	shm/poison.c shm/poison.h \
	shm/quotas.c shm/quotas.h \
	shm/records.c shm/records.h \
	shm/region.c shm/region.h \
	shm/shared.c shm/shared.h \
	shm/slots.c shm/slots.h \
	shm/stats.c shm/stats.h \
	shm/step.h shm/touched.h shm/word.h \
	shm/tickets.c shm/tickets.h \
	shm/tokens.c shm/tokens.h \
	shm/tally.c shm/tally.h

# store
libshm_a_SOURCES += shm/store.c shm/store.h shm/store_inside.h \
	shm/store_audit.c shm/store_booked.c \
	shm/store_cells.c shm/store_cells.h \
	shm/store_check.c \
	shm/store_consumers.c shm/store_consumers.h \
	shm/store_open.c \
	shm/store_pack.c shm/store_pack.h \
	shm/store_plans.c \
	shm/store_records.c shm/store_records.h \
	shm/store_revisions.c shm/store_rollups.c \
	shm/store_usage.c shm/store_usage.h
