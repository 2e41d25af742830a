/* SPDX-License-Identifier: MIT */
/* A listening TCP socket and its accept loop, the same for every server of this command. */
#pragma once

#include "options.h"

#include <stddef.h>

struct listener {
	const char *command; /* for messages */
	int fd;
	bool direct;           /* what is accepted is a direct descriptor */
	int accept_flags;      /* of what is accepted, for accept4(2), beside SOCK_CLOEXEC */
	int64_t complained_ns; /* when an error was last reported */
	unsigned failures;     /* errors since */
	char name[80];         /* "127.0.0.1:8080", with the port that it really got */
};

/*
 * Open it, and print "listening on ADDR:PORT" on standard output. Accepted sockets have TCP_NODELAY.
 * Returns: 0 or a negative errno, explained on standard error. Checkpoint.
 */
int listener_open(struct listener *listener, const char *command, const struct address *address);

/*
 * The next connection. Goes on over what is wrong with one connection, waits and tries again when descriptors or
 * memory are short, and reports that at most once a second.
 * Returns: a descriptor (O_CLOEXEC); -ECANCELED when the server is to end; another error when the socket is broken.
 */
int listener_accept(struct listener *listener, struct sockaddr_storage *peer, socklen_t *ret_size);

/*
 * A connection that had arrived before the drain began. Returns: a descriptor, or -EAGAIN when there is none left.
 * Not a checkpoint.
 */
int listener_accept_rest(struct listener *listener, struct sockaddr_storage *peer, socklen_t *ret_size);

void listener_close(struct listener *listener);

/* "1.2.3.4:80", "[::1]:80", truncated to fit. */
void address_format(const struct sockaddr_storage *address, char *text, size_t size);

/* Let the process have as many descriptors as it may. Returns: how many that is. */
size_t raise_descriptor_limit(void);
