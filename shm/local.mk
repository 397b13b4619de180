libshm_a_SOURCES = shm/metrics.def shm/records.h shm/region.h shm/slots.h shm/stats.h 
