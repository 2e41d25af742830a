/* SPDX-License-Identifier: MIT */
/*
 * Moves bytes between an SSL object's buffers and its socket. Encrypted bytes are copied out of OpenSSL's buffer before
 * they are sent, since another task may have OpenSSL add to that meanwhile, and move it.
 */
#include "adapters/openssl/link.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>

static pthread_once_t index_once = PTHREAD_ONCE_INIT;
static int index_of_link = -1;

/* Called by SSL_free(). */
static void free_link(void *parent, void *link, CRYPTO_EX_DATA *data, int index, long number, void *arg)
{
	(void)parent, (void)data, (void)index, (void)number, (void)arg;
	free(link);
}

static void make_index(void)
{
	index_of_link = SSL_get_ex_new_index(0, NULL, NULL, NULL, free_link);
}

struct ssl_link *noria_ssl_link(const SSL *ssl)
{
	return index_of_link < 0 ? NULL : SSL_get_ex_data(ssl, index_of_link);
}

/* OpenSSL sets kernel TLS up at the end of the hand-shake, if kernel and cipher allow it, or goes on without. */
static int give_socket(SSL *ssl, const struct ssl_link *link)
{
	int flags = fcntl(link->fd, F_GETFL);

	if (flags < 0 || fcntl(link->fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return -errno;
	return SSL_set_fd(ssl, link->fd) == 1 ? 0 : -ENOMEM;
}

static int give_memory(SSL *ssl, struct ssl_link *link)
{
	link->in = BIO_new(BIO_s_mem());
	link->out = BIO_new(BIO_s_mem());
	if (!link->in || !link->out) {
		BIO_free(link->in);
		BIO_free(link->out);
		return -ENOMEM;
	}
	SSL_set_bio(ssl, link->in, link->out);
	return 0;
}

int noria_ssl_set_fd(SSL *ssl, int fd)
{
	struct ssl_link *link;
	int r;

	pthread_once(&index_once, make_index);
	if (noria_ssl_link(ssl))
		return noria_fail(-EBUSY, "this SSL object has a descriptor already");
	link = calloc(1, sizeof *link);
	if (!link)
		return -ENOMEM;
	link->fd = fd;
	r = SSL_get_options(ssl) & SSL_OP_ENABLE_KTLS ? give_socket(ssl, link) : give_memory(ssl, link);
	if (r == 0 && SSL_set_ex_data(ssl, index_of_link, link) != 1)
		r = -ENOMEM;
	if (r < 0) {
		free(link);
		return r;
	}
	SSL_set_mode(ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	return 0;
}

unsigned noria_ssl_ktls(const SSL *ssl)
{
	return (BIO_get_ktls_send(SSL_get_wbio(ssl)) ? NORIA_SSL_KTLS_SEND : 0u) |
	       (BIO_get_ktls_recv(SSL_get_rbio(ssl)) ? NORIA_SSL_KTLS_RECV : 0u);
}

static void tell_others(struct ssl_link *link)
{
	noria_event_set(&link->moved);
	noria_event_clear(&link->moved);
}

/* ---- Out ---- */

static bool anything_to_send(const struct ssl_link *link)
{
	return link->out && (link->done < link->length || BIO_ctrl_pending(link->out) > 0);
}

static ssize_t send_once(struct ssl_link *link, int flags)
{
	ssize_t n;

	if (link->done == link->length) {
		int taken = BIO_read(link->out, link->leaving, LINK_OUTPUT);

		link->done = 0;
		link->length = taken > 0 ? (size_t)taken : 0;
	}
	link->sending = true;
	n = noria_send(link->fd, link->leaving + link->done, link->length - link->done, flags);
	link->sending = false;
	if (n > 0)
		link->done += (size_t)n;
	tell_others(link);
	return n;
}

int noria_ssl_link_send_some(struct ssl_link *link)
{
	ssize_t n = 0;

	while (n >= 0 && !link->sending && anything_to_send(link))
		n = send_once(link, MSG_DONTWAIT);
	return n < 0 && n != -EAGAIN ? (int)n : 0;
}

int noria_ssl_link_send_all(struct ssl_link *link)
{
	ssize_t n = 0;

	while (n >= 0 && anything_to_send(link))
		n = link->sending ? noria_event_wait(&link->moved) : send_once(link, 0);
	return n < 0 ? (int)n : 0;
}

int noria_ssl_link_wait_room(struct ssl_link *link)
{
	int r = noria_poll(link->fd, POLLOUT);

	return r < 0 ? r : 0;
}

/* ---- In ---- */

static ssize_t receive_once(struct ssl_link *link)
{
	int events = 0, r;

	if (!link->in) { /* OpenSSL receives by itself, once there is something */
		r = noria_poll(link->fd, POLLIN);
		return r < 0 ? r : -EAGAIN;
	}
	r = noria_ssl_link_send_some(link);
	if (r < 0)
		return r;
	if (anything_to_send(link)) {
		events = noria_poll(link->fd, POLLIN | POLLOUT);
		if (events < 0 || events == POLLOUT)
			return events < 0 ? events : -EAGAIN;
	}
	return noria_recv(link->fd, link->input, LINK_INPUT, events ? MSG_DONTWAIT : 0);
}

int noria_ssl_link_receive(struct ssl_link *link)
{
	ssize_t n;

	if (link->receiving)
		return noria_event_wait(&link->moved);
	link->receiving = true;
	n = receive_once(link);
	link->receiving = false;
	if (n == 0)
		BIO_set_mem_eof_return(link->in, 0);
	else if (n > 0 && BIO_write(link->in, link->input, (int)n) != n)
		n = -ENOMEM;
	tell_others(link);
	return n < 0 && n != -EAGAIN ? (int)n : 0;
}
