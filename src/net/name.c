/* SPDX-License-Identifier: MIT */
/*
 * Lookups. getaddrinfo() blocks, and cannot be stopped, so it runs on a thread with a copy of its arguments, which
 * belongs to it from then on: a caller that is cancelled leaves it behind, and what it finds is freed there.
 *
 * Why not c-ares: see README.md here.
 */
#include "net/name.h"

#include "base/memory.h"
#include "base/message.h"
#include "executor/executor.h"
#include "noria/executor.h"
#include "noria/failure.h"
#include "noria/offload.h"
#include "scope/scope.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int (*noria_name_resolver)(const char *, const char *, const struct addrinfo *, struct addrinfo **) = getaddrinfo;

/* A lookup of a thread. */
struct lookup {
	struct addrinfo hints, *found;
	const char *host, *service; /* NULL, or in `text` */
	bool hinted;
	int error, system; /* EAI_..., and the errno of EAI_SYSTEM */
	char text[];
};

int noria_name_fail(int code, const struct noria_site *site, const char *format, ...)
{
	char text[512];
	va_list list;

	va_start(list, format);
	vsnprintf(text, sizeof text, format, list);
	va_end(list);
	noria_fail_at(code, site, "%s", text);
	return noria_refuse(code, "%s", text);
}

static int errno_of(int error, int system)
{
	switch (error) {
	case EAI_NONAME:
	case EAI_NODATA:
	case EAI_ADDRFAMILY:
		return -ENOENT;
	case EAI_AGAIN:
		return -EAGAIN;
	case EAI_FAIL:
		return -EREMOTEIO;
	case EAI_SERVICE:
		return -EPROTONOSUPPORT;
	case EAI_FAMILY:
		return -EAFNOSUPPORT;
	case EAI_SOCKTYPE:
		return -ESOCKTNOSUPPORT;
	case EAI_BADFLAGS:
		return -EINVAL;
	case EAI_MEMORY:
		return -ENOMEM;
	case EAI_SYSTEM:
		return system > 0 ? -system : -EIO;
	default:
		return -EIO;
	}
}

static int refuse(const struct name_query *query, int error, int system)
{
	const char *words = error == EAI_SYSTEM && system > 0 ? strerrordesc_np(system) : gai_strerror(error);
	const char *remedy = "";

	if (error == EAI_AGAIN)
		remedy = ". Remedy: try again later, or see which name servers /etc/resolv.conf names";
	return noria_name_fail(errno_of(error, system), query->site, "looking up host %s, service %s: %s%s",
			       name_or(query->host, "(none)"), name_or(query->service, "(none)"),
			       words ? words : "an unknown error", remedy);
}

/* getaddrinfo() would take 99999 for 34463. */
static int check_port(const struct name_query *query)
{
	const char *service = query->service;

	if (!service || !*service || service[strspn(service, "0123456789")] != '\0' ||
	    strtoul(service, NULL, 10) < 65536)
		return 0;
	return noria_name_fail(-EINVAL, query->site, "looking up port %s: a port is a number from 0 to 65535", service);
}

int noria_name_numeric(const struct name_query *query, struct addrinfo **ret_list)
{
	struct addrinfo hints = {.ai_flags = AI_V4MAPPED | AI_ADDRCONFIG}; /* what getaddrinfo() takes for no hints */
	int error, r = check_port(query);

	if (r < 0)
		return r;
	if (query->hints)
		hints = *query->hints;
	hints.ai_flags |= AI_NUMERICHOST | AI_NUMERICSERV;
	error = getaddrinfo(query->host, query->service, &hints, ret_list);
	if (error == 0)
		return 1;
	if (error != EAI_NONAME)
		return refuse(query, error, errno);
	return 0;
}

static int look_up(void *arg)
{
	struct lookup *lookup = arg;

	lookup->error = noria_name_resolver(lookup->host, lookup->service, lookup->hinted ? &lookup->hints : NULL,
					    &lookup->found);
	lookup->system = errno;
	return 0;
}

static void dispose(int result, void *arg)
{
	struct lookup *lookup = arg;

	(void)result;
	if (lookup->error == 0 && lookup->found)
		freeaddrinfo(lookup->found);
	free(lookup);
}

static const char *copy(char **at, const char *text)
{
	size_t size = text ? strlen(text) + 1 : 0;
	char *start = *at;

	memcpy(start, text ? text : "", size);
	*at += size;
	return text ? start : NULL;
}

static struct lookup *lookup_new(const struct name_query *query)
{
	size_t host = query->host ? strlen(query->host) + 1 : 0,
	       service = query->service ? strlen(query->service) + 1 : 0;
	struct lookup *lookup = memory_zeroed(1, sizeof *lookup + host + service);
	char *at = lookup ? lookup->text : NULL;

	if (!lookup)
		return NULL;
	lookup->host = copy(&at, query->host);
	lookup->service = copy(&at, query->service);
	lookup->hinted = query->hints != NULL;
	if (query->hints)
		lookup->hints = *query->hints;
	return lookup;
}

static int take_result(const struct name_query *query, struct lookup *lookup, struct addrinfo **ret_list)
{
	if (lookup->error != 0)
		return refuse(query, lookup->error, lookup->system);
	*ret_list = lookup->found;
	lookup->found = NULL;
	return 0;
}

int noria_name_ask(const struct name_query *query, struct addrinfo **ret_list)
{
	struct noria_call_options options = {.priority = query->spare ? NORIA_PRIORITY_LOW : NORIA_PRIORITY_NORMAL,
					     .dispose = dispose};
	struct noria_executor *executor;
	struct executors *executors;
	struct lookup *lookup;
	bool abandoned;
	int r;

	options.ret_abandoned = &abandoned;
	r = noria_executors_get(noria_current()->loop, &executors);
	if (r >= 0)
		r = noria_executors_names(executors, &executor);
	if (r < 0)
		return r;
	lookup = lookup_new(query);
	if (!lookup)
		return noria_refuse(-ENOMEM, "no memory for a lookup");
	r = noria_executor_call_at(executor, look_up, lookup, &options, query->site);
	if (abandoned)
		return r;
	if (r >= 0)
		r = take_result(query, lookup, ret_list);
	dispose(r, lookup);
	return r;
}

int noria_name_look_up(const struct name_query *query, struct addrinfo **ret_list)
{
	int r = noria_name_numeric(query, ret_list);

	if (r != 0)
		return r < 0 ? r : 0;
	return noria_name_ask(query, ret_list);
}

int noria_getaddrinfo_at(const char *host, const char *service, const struct addrinfo *hints,
			 struct addrinfo **ret_list, const struct noria_site *site)
{
	struct name_query query = {.host = host, .service = service, .hints = hints, .site = site};
	struct task *task = noria_current();
	struct addrinfo *found;
	int r;

	if (!task)
		return -ENXIO;
	r = scope_door(task);
	if (r >= 0 && !host && !service)
		r = noria_name_fail(-EINVAL, site, "noria_getaddrinfo() with neither a host nor a service");
	if (r >= 0)
		r = noria_name_look_up(&query, &found);
	if (r >= 0)
		*ret_list = found;
	return task_answer(task, r);
}

int noria_name_unix(const char *host, const struct noria_site *site, struct sockaddr_un *ret_address,
		    socklen_t *ret_length)
{
	static const char prefix[] = "unix:";
	const char *path;
	size_t length;

	if (!host || strncmp(host, prefix, sizeof prefix - 1) != 0)
		return 0;
	path = host + sizeof prefix - 1;
	length = strlen(path);
	if (length == 0 || length >= sizeof ret_address->sun_path)
		return noria_name_fail(-EINVAL, site, "%s: the path of a Unix socket has 1 to %zu bytes", host,
				       sizeof ret_address->sun_path - 1);
	*ret_address = (struct sockaddr_un){.sun_family = AF_UNIX};
	memcpy(ret_address->sun_path, path, length);
	if (*path == '@')
		ret_address->sun_path[0] = '\0';
	/* The name of an abstract socket ends where the address does, a path with a zero. */
	*ret_length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + (*path != '@'));
	return 1;
}

void noria_name_text(const struct sockaddr *address, socklen_t length, char text[NAME_TEXT_MAX])
{
	const struct sockaddr_un *local = (const void *)address;

	if (address->sa_family == AF_UNIX)
		snprintf(text, NAME_TEXT_MAX, "unix:%s%.*s", local->sun_path[0] ? "" : "@",
			 (int)(sizeof local->sun_path - 1), local->sun_path + !local->sun_path[0]);
	else if (getnameinfo(address, length, text, NAME_TEXT_MAX, NULL, 0, NI_NUMERICHOST) != 0)
		snprintf(text, NAME_TEXT_MAX, "an address of family %d", address->sa_family);
}
