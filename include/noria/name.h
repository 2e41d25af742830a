/* SPDX-License-Identifier: MIT */
/*
 * Names: looking them up, connecting and listening by them.
 *
 * The system's own resolver is asked: /etc/hosts, nsswitch.conf, search domains and gai.conf mean here what they mean
 * everywhere. It blocks, therefore it runs on threads: an executor that serves lookups only, and each runtime has
 * one (names_threads in run.h), so that slow name servers hold up nothing but lookups. A lookup that has started
 * cannot be stopped; who is cancelled does not wait for it. Nothing is cached: a cache that knew no lifetimes would
 * tell old addresses, and the system's (nscd, systemd-resolved) is found by the same call.
 *
 * A host is a name, a numeric address ("127.0.0.1", "::1", "fe80::1%eth0"), or, where a connection or a listener is
 * wanted, "unix:/path" or "unix:@abstract" for a Unix socket, whose service is ignored. A service is a port in digits,
 * or a name of /etc/services. Numeric hosts with numeric services take no thread. All functions belong to the runtime's
 * thread. All since 0.2.
 */
#ifndef NORIA_NAME_H
#define NORIA_NAME_H

#include <netdb.h>
#include <noria/base.h>
#include <noria/time.h>
#include <sys/socket.h>

NORIA_BEGIN_DECLS

/*
 * noria_getaddrinfo - look a name up, as getaddrinfo(3).
 * @host: NULL: the loopback addresses, or with AI_PASSIVE the wildcards
 * @service: NULL: port 0
 * @hints: NULL: none; ai_socktype is best set
 * @ret_list: the addresses, in the order of RFC 6724; to be freed with freeaddrinfo(3)
 *
 * Returns: 0, or, with the resolver's own words in noria_message(),
 *  - -ENOENT: there is no such name, or it has no address (of the family asked for);
 *  - -EAGAIN: no name server answered, or none could (also when no thread can be created): try again later;
 *  - -EREMOTEIO: a name server refused to answer, and will again;
 *  - -EPROTONOSUPPORT: there is no such service (for this type of socket);
 *  - -EAFNOSUPPORT, -ESOCKTNOSUPPORT: `hints` ask for what this system does not know;
 *  - -EINVAL: neither host nor service, flags that do not go together, or a port above 65535;
 *  - -ENOMEM; -EIO: whatever else went wrong; another errno: that of a system call which failed;
 *  - -ECANCELED: *ret_list is untouched, and the lookup ends by itself if it had begun; -ENXIO outside a runtime.
 * Checkpoint. Since 0.2.
 */
#define noria_getaddrinfo(host, service, hints, ret_list) \
	noria_getaddrinfo_at((host), (service), (hints), (ret_list), NORIA_SITE("getaddrinfo"))
NORIA_PUBLIC NORIA_CHECKED int noria_getaddrinfo_at(const char *host, const char *service, const struct addrinfo *hints,
						    struct addrinfo **ret_list, const struct noria_site *site);

/* The most addresses of a name that noria_connect_name() tries. */
#define NORIA_CONNECT_ADDRESSES_MAX 32

/* How a connection is made, where the defaults do not do. All zero: the defaults. */
struct noria_connect_name_options {
	int family; /* AF_INET or AF_INET6: only such addresses; 0: both */
	/* Addresses tried at most, up to NORIA_CONNECT_ADDRESSES_MAX, and so sockets open at once; 0: 16. */
	unsigned addresses_max;
	/* The next address is tried when the one before has kept silent for so long; 0: 250 ms; NORIA_FOREVER: never */
	int64_t delay_ns;
	/*
	 * Called with each socket before it connects, to bind it or to set its options. A negative errno is the end of
	 * this attempt. It may be in several attempts at once if it parks.
	 */
	int (*prepare)(int fd, const struct sockaddr *address, socklen_t length, void *arg);
	void *prepare_arg;
	uint64_t reserved[4]; /* zero */
};

/*
 * noria_connect_name - a connection (SOCK_STREAM) to a host and a service, by whichever of its addresses answers first
 * (RFC 8305, "happy eyeballs").
 * @options: NULL: the defaults
 *
 * The addresses are tried in the resolver's order, with the families taking turns: the next one when one has failed, or
 * when none has answered for a while. The first connection that stands is taken, the other attempts are cancelled, and
 * none outlives the call. While the lookup takes longer than that while, A and AAAA are asked for by themselves too,
 * and the first answer is taken: a name server that keeps silent about one of them is not waited for. Cancelled or
 * timed out, no descriptor remains; noria_progress() says how many addresses were tried: 0, it was the lookup that
 * took so long.
 *
 * Returns: the descriptor, close-on-exec; or
 *  - when no address could be connected to, the error of the first one that this machine has a way to (the first error
 *    if there is none); noria_message() and the failure have the error of each;
 *  - as noria_getaddrinfo(), when there is no address to try; -EINVAL without a service, when an option is not as said
 *    above, or for a Unix path that is too long; as noria_socket() and noria_spawn(), when it could not even begin.
 * Checkpoint. Since 0.2.
 */
#define noria_connect_name(host, service, ...) \
	noria_connect_name_at((host), (service), (__VA_ARGS__), NORIA_SITE("connect_name"))
NORIA_PUBLIC NORIA_CHECKED int noria_connect_name_at(const char *host, const char *service,
						     const struct noria_connect_name_options *options,
						     const struct noria_site *site);

/* How a listener is made, where the defaults do not do. All zero: the defaults. */
struct noria_listen_name_options {
	int family;      /* AF_INET or AF_INET6: only such an address; 0: either, and the wildcard takes both */
	int backlog;     /* 0: 4096, which the kernel cuts to net.core.somaxconn */
	bool reuse_port; /* SO_REUSEPORT: several listeners share the port, and the kernel deals the connections out */
	/* Called with the socket before it is bound (accepted ones inherit most options); a negative errno ends it. */
	int (*prepare)(int fd, const struct sockaddr *address, socklen_t length, void *arg);
	void *prepare_arg;
	uint64_t reserved[4]; /* zero */
};

/*
 * noria_listen_name - a listening socket (SOCK_STREAM) on a host and a service.
 * @host: NULL or "": every address of this machine, by one socket of IPv6 that takes IPv4 as well, where there is IPv6
 * @service: "0": a free port, which getsockname(2) tells
 * @options: NULL: the defaults
 *
 * SO_REUSEADDR is set, so that a server can be started again at once. A name with several addresses is tried in their
 * order, and listens on the first that can be had. A Unix path that exists is not removed.
 *
 * Returns: the descriptor, close-on-exec; the error of the first address, with a remedy in noria_message():
 * -EADDRINUSE, -EACCES, -EADDRNOTAVAIL and whatever else socket(2), bind(2) and listen(2) say; or as
 * noria_getaddrinfo() and noria_connect_name(). Checkpoint. Since 0.2.
 */
#define noria_listen_name(host, service, ...) \
	noria_listen_name_at((host), (service), (__VA_ARGS__), NORIA_SITE("listen_name"))
NORIA_PUBLIC NORIA_CHECKED int noria_listen_name_at(const char *host, const char *service,
						    const struct noria_listen_name_options *options,
						    const struct noria_site *site);

NORIA_END_DECLS
#endif
