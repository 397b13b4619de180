libroute_a_SOURCES = worker/route/route.h 
