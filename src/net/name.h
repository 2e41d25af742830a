/* SPDX-License-Identifier: MIT */
/* What connecting and listening by name share: the lookup, the words for what went wrong, Unix names. */
#ifndef NORIA_NET_NAME_H
#define NORIA_NET_NAME_H

#include "noria/name.h"

#include <stdbool.h>
#include <sys/un.h>

/* What the threads of the lookups call: getaddrinfo(). Tests put answers of their own here, for freeaddrinfo(). */
extern int (*noria_name_resolver)(const char *host, const char *service, const struct addrinfo *hints,
				  struct addrinfo **ret_list);

struct name_query {
	const char *host, *service;
	const struct addrinfo *hints; /* may be NULL */
	const struct noria_site *site;
	bool spare; /* comes after all other lookups in the queue */
};

/*
 * Without a thread, where host and service are numbers. Returns 1; 0 when a thread has to be asked; a negative errno.
 * Not a checkpoint.
 */
int noria_name_numeric(const struct name_query *query, struct addrinfo **ret_list);
/* On a thread. Returns 0 or a negative errno, told. Checkpoint. */
int noria_name_ask(const struct name_query *query, struct addrinfo **ret_list);
/* Both. */
int noria_name_look_up(const struct name_query *query, struct addrinfo **ret_list);

/* "unix:...": 1, and the address; 0: it is none; -EINVAL: too long, or empty. */
int noria_name_unix(const char *host, const struct noria_site *site, struct sockaddr_un *ret_address,
		    socklen_t *ret_length);

enum { NAME_TEXT_MAX = 108 + 8 };
/* An address in words, without its port. */
void noria_name_text(const struct sockaddr *address, socklen_t length, char text[NAME_TEXT_MAX]);

/* Begin an error of the calling task, with a text that noria_message() has as well. Returns `code`. */
__attribute__((format(printf, 3, 4))) int noria_name_fail(int code, const struct noria_site *site, const char *format,
							  ...);

/* NULL-safe, for messages. */
static inline const char *name_or(const char *name, const char *otherwise)
{
	return name && *name ? name : otherwise;
}

static inline bool name_reserved_used(const uint64_t *reserved, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (reserved[i])
			return true;
	return false;
}

#endif
