/* SPDX-License-Identifier: MIT */
/*
 * A getaddrinfo() that stands before libc's: slow.example takes FRAME_RESOLVER_MS and does not exist, all else is libc's
 * affair. The libraries under test call it, on whatever thread they like.
 */
#include "frame.h"

#include <dlfcn.h>
#include <netdb.h>
#include <time.h>

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints, struct addrinfo **found)
{
	struct timespec pause = {.tv_nsec = FRAME_RESOLVER_MS * 1000000L};
	int (*next)(const char *, const char *, const struct addrinfo *, struct addrinfo **);

	*(void **)&next = dlsym(RTLD_NEXT, "getaddrinfo");
	if (!name || strcmp(name, "slow.example") != 0)
		return next(name, service, hints, found);
	if (hints && (hints->ai_flags & AI_NUMERICHOST))
		return EAI_NONAME;
	nanosleep(&pause, NULL);
	return EAI_NONAME;
}
