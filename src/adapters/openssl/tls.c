/* SPDX-License-Identifier: MIT */
/*
 * Hand-shake, reading, writing, the end: have OpenSSL do what it can with what is there, move bytes, again. OpenSSL's
 * queue of errors belongs to the thread and not to the task, so it is emptied before each step and read right after it,
 * before anybody else can run.
 */
#include "adapters/openssl/link.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509_vfy.h>

enum { RECORD = 16 * 1024 };

struct step {
	void *buffer;
	const void *data;
	size_t size, done;
};

typedef int step_fn(SSL *ssl, struct step *step);

static int step_handshake(SSL *ssl, __attribute__((unused)) struct step *step)
{
	return SSL_do_handshake(ssl);
}

static int step_read(SSL *ssl, struct step *step)
{
	return SSL_read_ex(ssl, step->buffer, step->size, &step->done);
}

static int step_write(SSL *ssl, struct step *step)
{
	return SSL_write_ex(ssl, step->data, step->size < RECORD ? step->size : RECORD, &step->done);
}

static int broken(const SSL *ssl, int error)
{
	unsigned long code = ERR_peek_error();
	const char *reason = ERR_reason_error_string(code);
	bool eof = error == SSL_ERROR_SYSCALL;

#ifdef SSL_R_UNEXPECTED_EOF_WHILE_READING
	eof |= ERR_GET_REASON(code) == SSL_R_UNEXPECTED_EOF_WHILE_READING;
#endif
	if (eof)
		return noria_fail(-ECONNRESET, "tls: the peer is gone without a close_notify");
	if (ERR_GET_REASON(code) == SSL_R_CERTIFICATE_VERIFY_FAILED)
		return noria_fail(-EACCES, "tls: the peer's certificate: %s",
				  X509_verify_cert_error_string(SSL_get_verify_result(ssl)));
	return noria_fail(-EPROTO, "tls: %s", reason ? reason : "the connection is broken");
}

/* Until `fn` has succeeded: 1; 0 at the peer's close_notify; or a negative errno. */
static int run(SSL *ssl, struct ssl_link *link, step_fn *fn, struct step *step)
{
	for (;;) {
		int n, error, r;

		ERR_clear_error();
		n = fn(ssl, step);
		error = n > 0 ? SSL_ERROR_NONE : SSL_get_error(ssl, n);
		switch (error) {
		case SSL_ERROR_NONE:
			return 1;
		case SSL_ERROR_ZERO_RETURN:
			return 0;
		case SSL_ERROR_WANT_READ:
		case SSL_ERROR_WANT_WRITE:
			r = error == SSL_ERROR_WANT_READ ? noria_ssl_link_receive(link)
							 : noria_ssl_link_wait_room(link);
			if (r < 0)
				return r;
			break;
		default:
			r = broken(ssl, error);
			(void)noria_ssl_link_send_some(link); /* the alert, if it can be told */
			return r;
		}
	}
}

static int attached(const SSL *ssl, struct ssl_link **ret_link)
{
	int r = noria_check();

	if (r < 0)
		return r;
	*ret_link = noria_ssl_link(ssl);
	return *ret_link ? 0 : noria_fail(-EBADF, "this SSL object has no descriptor: noria_ssl_set_fd() comes first");
}

static int shake_hands(SSL *ssl, void (*take_part)(SSL *ssl))
{
	struct ssl_link *link;
	int r = attached(ssl, &link);

	if (r < 0)
		return r;
	take_part(ssl);
	r = run(ssl, link, step_handshake, NULL);
	if (r == 0)
		return noria_fail(-ECONNRESET, "tls: the peer has ended the connection in the hand-shake");
	return r < 0 ? r : noria_ssl_link_send_all(link);
}

int noria_ssl_connect(SSL *ssl)
{
	return shake_hands(ssl, SSL_set_connect_state);
}

int noria_ssl_accept(SSL *ssl)
{
	return shake_hands(ssl, SSL_set_accept_state);
}

ssize_t noria_ssl_read(SSL *ssl, void *buffer, size_t size)
{
	struct step step = {.buffer = buffer, .size = size};
	struct ssl_link *link;
	int r = attached(ssl, &link);

	if (r < 0 || size == 0)
		return r;
	r = run(ssl, link, step_read, &step);
	return r > 0 ? (ssize_t)step.done : r;
}

/* With the lock for writing: what was left by another first, then one record. */
static int write_record(SSL *ssl, struct ssl_link *link, struct step *step)
{
	int r = noria_ssl_link_send_all(link);

	if (r == 0 && link->cut_off)
		return noria_fail(-EPIPE, "tls: a write was cut off in the middle of a record");
	if (r == 0)
		r = run(ssl, link, step_write, step);
	link->cut_off = r == -ECANCELED && !link->out;
	if (r == 0)
		return noria_fail(-EPIPE, "tls: the connection has been shut down");
	return r < 0 ? r : noria_ssl_link_send_all(link);
}

ssize_t noria_ssl_write(SSL *ssl, const void *buffer, size_t size)
{
	struct step step = {.data = buffer, .size = size};
	struct ssl_link *link;
	int r = attached(ssl, &link);

	if (r < 0 || size == 0)
		return r;
	r = noria_locked(&link->writing, write_record(ssl, link, &step));
	return r < 0 ? r : (ssize_t)step.done;
}

ssize_t noria_ssl_write_all(SSL *ssl, const void *buffer, size_t size)
{
	size_t done = 0;

	while (done < size) {
		ssize_t n = noria_ssl_write(ssl, (const char *)buffer + done, size - done);

		if (n < 0)
			return n;
		done += (size_t)n;
	}
	return (ssize_t)size;
}

/* Called again it only wants the peer's close_notify: then its own has been made, but may not have left. */
static int make_close_notify(SSL *ssl, struct ssl_link *link)
{
	for (;;) {
		int n, error, r;

		ERR_clear_error();
		n = SSL_shutdown(ssl);
		error = n < 0 ? SSL_get_error(ssl, n) : SSL_ERROR_NONE;
		if (error == SSL_ERROR_NONE || error == SSL_ERROR_WANT_READ)
			return n > 0;
		r = error == SSL_ERROR_WANT_WRITE ? noria_ssl_link_wait_room(link) : broken(ssl, error);
		if (r < 0)
			return r;
	}
}

static int shut_down(SSL *ssl, struct ssl_link *link)
{
	int n, r;

	if (link->cut_off)
		return noria_fail(-EPIPE, "tls: a write was cut off in the middle of a record");
	n = make_close_notify(ssl, link);
	r = n < 0 ? n : noria_ssl_link_send_all(link);
	return r < 0 ? r : n;
}

int noria_ssl_shutdown(SSL *ssl, int64_t limit_ns)
{
	struct ssl_link *link = noria_ssl_link(ssl);

	if (!link)
		return noria_fail(-EBADF, "this SSL object has no descriptor: noria_ssl_set_fd() comes first");
	return noria_shielded(limit_ns, noria_locked(&link->writing, shut_down(ssl, link)));
}
