/* SPDX-License-Identifier: MIT */
/* Control data: what the kernel says of a datagram beside its bytes. Lengths are checked; nothing need be aligned. */
#include "net/control.h"

#include <netinet/in.h>
#include <netinet/udp.h>
#include <string.h>
#include <time.h>

/* Younger than some C libraries; the value is ABI. */
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

static struct msghdr message_of(const struct noria_datagram *datagram)
{
	return (struct msghdr){.msg_control = datagram->control, .msg_controllen = datagram->control_size};
}

/* The value of a control message, when it is one of these and as long as it should be. */
static bool reads(const struct cmsghdr *control, int level, int type, void *ret_value, size_t size)
{
	if (control->cmsg_level != level || control->cmsg_type != type || control->cmsg_len < CMSG_LEN(size))
		return false;
	memcpy(ret_value, CMSG_DATA(control), size);
	return true;
}

unsigned noria_control_segment(const struct noria_datagram *datagram)
{
	struct msghdr message = message_of(datagram);
	int segment;

	for (struct cmsghdr *control = CMSG_FIRSTHDR(&message); control; control = CMSG_NXTHDR(&message, control))
		if (reads(control, IPPROTO_UDP, UDP_GRO, &segment, sizeof segment) && segment > 0)
			return (unsigned)segment;
	return 0;
}

static void read_local(const struct cmsghdr *control, struct noria_datagram_info *info)
{
	struct in_pktinfo v4;
	struct in6_pktinfo v6;

	if (reads(control, IPPROTO_IP, IP_PKTINFO, &v4, sizeof v4)) {
		struct sockaddr_in local = {.sin_family = AF_INET, .sin_addr = v4.ipi_addr};

		memcpy(&info->local, &local, sizeof local);
		info->interface = (unsigned)v4.ipi_ifindex;
	} else if (reads(control, IPPROTO_IPV6, IPV6_PKTINFO, &v6, sizeof v6)) {
		struct sockaddr_in6 local = {.sin6_family = AF_INET6, .sin6_addr = v6.ipi6_addr};

		memcpy(&info->local, &local, sizeof local);
		info->interface = (unsigned)v6.ipi6_ifindex;
	}
}

static void read_small(const struct cmsghdr *control, struct noria_datagram_info *info)
{
	struct timespec time;
	unsigned char tos;

	if (reads(control, SOL_SOCKET, SO_TIMESTAMPNS, &time, sizeof time))
		info->time_ns = (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
	else if (reads(control, IPPROTO_IP, IP_TOS, &tos, sizeof tos))
		info->tos = tos;
	else if (!reads(control, IPPROTO_IP, IP_TTL, &info->ttl, sizeof info->ttl) &&
		 !reads(control, IPPROTO_IPV6, IPV6_HOPLIMIT, &info->ttl, sizeof info->ttl))
		(void)reads(control, IPPROTO_IPV6, IPV6_TCLASS, &info->tos, sizeof info->tos);
}

void noria_datagram_get_info(const struct noria_datagram *datagram, struct noria_datagram_info *ret_info)
{
	struct msghdr message = message_of(datagram);

	*ret_info = (struct noria_datagram_info){.ttl = -1, .tos = -1, .time_ns = -1};
	for (struct cmsghdr *control = CMSG_FIRSTHDR(&message); control; control = CMSG_NXTHDR(&message, control)) {
		read_local(control, ret_info);
		read_small(control, ret_info);
	}
}
