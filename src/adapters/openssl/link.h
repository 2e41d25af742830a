/* SPDX-License-Identifier: MIT */
/*
 * Between an SSL object and its socket: two buffers in memory, and who moves them. OpenSSL takes what has arrived from
 * the one and puts what shall leave into the other, and never waits. Where kernel TLS was asked for OpenSSL has the
 * socket itself instead, and says when it is to be waited for.
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
	BIO *in, *out; /* the SSL object's; NULL: it has the socket */
	bool receiving, sending;
	bool cut_off; /* a record that OpenSSL was sending by itself: it would take the next one for the rest */
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

/* OpenSSL sends by itself, and the socket is full. */
int noria_ssl_link_wait_room(struct ssl_link *link);

/* Sends as much as the socket takes now. */
int noria_ssl_link_send_some(struct ssl_link *link);

/* Sends all that there is. */
int noria_ssl_link_send_all(struct ssl_link *link);

#endif
