/* SPDX-License-Identifier: MIT */
/* UDP sockets on the loopback, for tests of datagrams. */
#ifndef NORIA_TESTS_UNIT_DATAGRAM_SOCKETS_H
#define NORIA_TESTS_UNIT_DATAGRAM_SOCKETS_H

#include "unit.h"

#include <netinet/in.h>
#include <netinet/udp.h>
#include <unistd.h>

/* Two that are connected to each other. */
static inline void udp_pair(int pair[2])
{
	struct sockaddr_in address[2];
	socklen_t length = sizeof address[0];

	for (int i = 0; i < 2; i++) {
		address[i] = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
		pair[i] = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		MUST(pair[i] >= 0 && bind(pair[i], (struct sockaddr *)&address[i], length) == 0);
		MUST(getsockname(pair[i], (struct sockaddr *)&address[i], &length) == 0);
		MUST(setsockopt(pair[i], SOL_SOCKET, SO_RCVBUF, &(int){4 << 20}, sizeof(int)) == 0);
	}
	for (int i = 0; i < 2; i++)
		MUST(connect(pair[i], (struct sockaddr *)&address[1 - i], length) == 0);
}

static inline in_port_t udp_port(int fd)
{
	struct sockaddr_in address;
	socklen_t length = sizeof address;

	MUST(getsockname(fd, (struct sockaddr *)&address, &length) == 0);
	return address.sin_port;
}

#endif
