/* SPDX-License-Identifier: MIT */
/*
 * Between an SSL object and its socket: two buffers in memory, and who moves them. OpenSSL takes what has arrived from
 * the one and puts what shall leave into the other, and never waits.
 *
 * Invariants: one task at a time receives, and one sends; whoever has to wait for another's doing waits for `moved`;
 * bytes leave in the order in which OpenSSL made them, also when the task that was sending has been cancelled.
 */
#ifndef NORIA_ADAPTERS_OPENSSL_LINK_H
#define NORIA_ADAPTERS_OPENSSL_LINK_H

#include <noria/noria.h>
#include <noria/openssl.h>

enum { LINK_INPUT = 16 * 1024, LINK_OUTPUT = 17 * 1024 };

struct ssl_link {
	int fd;
	BIO *in, *out; /* the SSL object's */
	bool receiving, sending;
	struct noria_event moved;   /* somebody has received, or sent */
	struct noria_mutex writing; /* a write that OpenSSL wants repeated must be repeated by the same task */
	size_t length, done;        /* of what is leaving */
	char leaving[LINK_OUTPUT];
	char input[LINK_INPUT];
};

/* What is attached to `ssl`, or NULL. */
struct ssl_link *noria_ssl_link(const SSL *ssl);

/* Receives something, and sends what it can meanwhile. 0, or a negative errno. */
int noria_ssl_link_receive(struct ssl_link *link);

/* Sends as much as the socket takes now. */
int noria_ssl_link_send_some(struct ssl_link *link);

/* Sends all that there is. */
int noria_ssl_link_send_all(struct ssl_link *link);

#endif
