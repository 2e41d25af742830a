/* SPDX-License-Identifier: MIT */
/* What accepting one connection and accepting many have in common. */
#ifndef NORIA_NET_ACCEPT_H
#define NORIA_NET_ACCEPT_H

#include <errno.h>
#include <stdbool.h>

/* What accept(2) says to treat like "try again": the connection is gone, the listener is well. */
static inline bool accept_goes_on(int error)
{
	switch (-error) {
	case ECONNABORTED:
	case ENETDOWN:
	case EPROTO:
	case ENOPROTOOPT:
	case EHOSTDOWN:
	case ENONET:
	case EHOSTUNREACH:
	case ENETUNREACH:
	case EINTR:
		return true;
	}
	return false;
}

#endif
