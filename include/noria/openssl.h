/* SPDX-License-Identifier: MIT */
/*
 * TLS by OpenSSL, over sockets of noria. In a library of its own (noria-openssl).
 *
 *     SSL *ssl = SSL_new(context);
 *
 *     SSL_set_tlsext_host_name(ssl, "example.org");
 *     SSL_set1_host(ssl, "example.org");
 *     noria_try(noria_ssl_set_fd(ssl, fd));
 *     noria_try(noria_within(noria_sec(5), noria_ssl_connect(ssl)));
 *     noria_try(noria_ssl_write_all(ssl, request, size));
 *     ...
 *     SSL_free(ssl);
 *
 * The SSL object is the caller's, with its context, certificates, names, ALPN and callbacks. OpenSSL works on buffers
 * in memory, and the tasks move the bytes; so one task may read while another writes. What OpenSSL has to say in
 * between (answers to a renegotiation or to a new key) leaves by whichever task comes first.
 *
 * Errors: -EACCES: the peer's certificate was not accepted; -EPROTO: anything else that TLS does not allow, alerts of
 * the peer included; -ECONNRESET: the peer is gone without a close_notify; the errors of noria_recv() and noria_send().
 * The first three have OpenSSL's words as their message (noria_last_failure()). After any of them the connection is of
 * no use. -EBADF: noria_ssl_set_fd() has not been called. -ENXIO outside a runtime. All functions belong to the
 * runtime's thread. Since 0.2.
 *
 * Kernel TLS: see noria_ssl_ktls().
 */
#ifndef NORIA_OPENSSL_H
#define NORIA_OPENSSL_H

#include <noria/base.h>

#include <openssl/ssl.h>

NORIA_BEGIN_DECLS

/*
 * noria_ssl_set_fd - as SSL_set_fd(), with a connected socket of noria. The descriptor stays the caller's, to be closed
 * after SSL_free(), which also frees what is attached here.
 * Returns: 0; -EBUSY when `ssl` has one already; -ENOMEM. Not a checkpoint. Since 0.2.
 */
NORIA_PUBLIC NORIA_CHECKED int noria_ssl_set_fd(SSL *ssl, int fd);

/*
 * noria_ssl_connect, noria_ssl_accept - the hand-shake, as a client or as a server. Whether the peer's certificate is
 * checked is up to `ssl` (SSL_VERIFY_PEER, SSL_set1_host()).
 * Returns: 0; the errors above; -ECANCELED: half a hand-shake is done, close the connection. Checkpoint. Since 0.2.
 */
NORIA_PUBLIC NORIA_CHECKED int noria_ssl_connect(SSL *ssl);
NORIA_PUBLIC NORIA_CHECKED int noria_ssl_accept(SSL *ssl);

/*
 * noria_ssl_read - as recv(2): waits for some bytes.
 * Returns: how many, at most `size`; 0 at the peer's close_notify; the errors above; -ECANCELED: no byte was taken.
 * Checkpoint. Since 0.2.
 *
 * noria_ssl_write - as send(2): up to 16 KiB in one record, until the socket has taken it.
 * noria_ssl_write_all - all of it.
 * Of several tasks that write, one at a time does, first come, first served.
 * Returns: how many bytes; the errors above; -ECANCELED: how much has left is not known. Do not send it again: what had
 * been encrypted leaves before anything that is written afterwards. Checkpoints. Since 0.2.
 */
NORIA_PUBLIC NORIA_CHECKED ssize_t noria_ssl_read(SSL *ssl, void *buffer, size_t size);
NORIA_PUBLIC NORIA_CHECKED ssize_t noria_ssl_write(SSL *ssl, const void *buffer, size_t size);
NORIA_PUBLIC NORIA_CHECKED ssize_t noria_ssl_write_all(SSL *ssl, const void *buffer, size_t size);

/*
 * noria_ssl_shutdown - send close_notify, after what is still to be sent, behind a soft shield: in a cancelled scope
 * too. The peer's own close_notify is what noria_ssl_read() returns 0 for.
 * @limit_ns: how long it may take, in nanoseconds
 * Returns: 1 when the peer's has come already, as with SSL_shutdown(); 0; -ETIMEDOUT; the errors above. Checkpoint, but
 * for cancels from outside. Since 0.2.
 */
NORIA_PUBLIC NORIA_CHECKED int noria_ssl_shutdown(SSL *ssl, int64_t limit_ns);

/* What the kernel does of a connection's TLS. */
enum noria_ssl_ktls_flags {
	NORIA_SSL_KTLS_SEND = 1 << 0, /* it encrypts */
	NORIA_SSL_KTLS_RECV = 1 << 1, /* it decrypts */
};

/*
 * noria_ssl_ktls - does the kernel do the encryption? Asked for by SSL_OP_ENABLE_KTLS before noria_ssl_set_fd().
 * OpenSSL then works on the socket itself, which becomes non-blocking, and at the end of the hand-shake hands the keys
 * to the kernel, if that has TLS (the module tls) and the cipher; otherwise everything goes on without. What it sends
 * by itself raises SIGPIPE when the peer is gone: ignore that signal. A write that is cancelled under way cannot be
 * finished: later ones, and noria_ssl_shutdown(), answer -EPIPE.
 * Where the kernel encrypts, noria_splice() to the socket sends a file as TLS.
 * Returns: enum noria_ssl_ktls_flags; 0: nothing, as without that option, and before the hand-shake. Not a checkpoint.
 * Since 0.2.
 */
NORIA_PUBLIC unsigned noria_ssl_ktls(const SSL *ssl);

NORIA_END_DECLS
#endif
