#include "worker/channel.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>

enum { SEND_WAIT_MS = 1000 };

int
channel_pair(int fd[2])
{
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd);
}

/* The descriptor that rides along lies in `space`. */
union channel_control {
	struct cmsghdr head;
	char space[CMSG_SPACE(sizeof(int))];
};

static long long
now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (long long)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int
channel_send(int channel, const struct channel_msg *msg, int fd)
{
	union channel_control control = { .space = { 0 } };
	struct iovec iov = { (void *)(uintptr_t)msg, sizeof(*msg) };
	struct msghdr h = { .msg_iov = &iov, .msg_iovlen = 1 };
	long long until = now_ms() + SEND_WAIT_MS, left;

	if (fd >= 0) {
		h.msg_control = control.space;
		h.msg_controllen = sizeof(control.space);
		control.head.cmsg_level = SOL_SOCKET;
		control.head.cmsg_type = SCM_RIGHTS;
		control.head.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.head), &fd, sizeof(fd));
	}
	while (sendmsg(channel, &h, MSG_NOSIGNAL) < 0) {
		struct pollfd p = { .fd = channel, .events = POLLOUT };

		if (errno == EINTR)
			continue;
		left = until - now_ms();
		if (errno != EAGAIN || left <= 0)
			return -1;
		poll(&p, 1, (int)left);
	}
	return 0;
}

int
channel_receive(int channel, struct channel_msg *msg, int *fd)
{
	union channel_control control;
	struct iovec iov = { msg, sizeof(*msg) };
	struct msghdr h = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control.space, .msg_controllen = sizeof(control.space),
	};
	struct cmsghdr *c;
	ssize_t n;

	*fd = -1;
	do
		n = recvmsg(channel, &h, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0 && errno == EAGAIN)
		return 0;
	if (n <= 0)
		return -1;
	c = CMSG_FIRSTHDR(&h);
	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
	    c->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(fd, CMSG_DATA(c), sizeof(*fd));
	/* Both ends are of one binary and a packet is whole. */
	if (n != (ssize_t)sizeof(*msg))
		memset((char *)msg + n, 0, sizeof(*msg) - (size_t)n);
	msg->text[sizeof(msg->text) - 1] = '\0';
	return 1;
}
