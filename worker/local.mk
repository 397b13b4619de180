libworker_a_SOURCES = worker/channel.h worker/worker.h 
