libnet_a_SOURCES = worker/net/addr.h worker/net/listen.h worker/net/loop.h worker/net/timer.h worker/net/wire.h 
