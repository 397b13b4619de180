libworker_a_SOURCES = worker/generation.c worker/generation.h worker/serve.c worker/serve.h worker/worker.c worker/channel.c worker/channel.h worker/worker.h 
