/* SPDX-License-Identifier: MIT */
/*
 * A page by HTTPS: `tls ADDRESS PORT NAME CERTIFICATES`. The certificate has to be NAME's. One task sends the question
 * and the caller reads the answer, over the same connection.
 */
#include <noria/noria.h>
#include <noria/openssl.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int ask(void *arg)
{
	static const char question[] = "GET / HTTP/1.0\r\n\r\n";

	return (int)noria_ssl_write_all(arg, question, sizeof question - 1);
}

static int read_answer(struct noria_group *group, SSL *ssl)
{
	char text[4096];
	ssize_t n;

	noria_try(noria_spawn(group, ask, ssl));
	while ((n = noria_try(noria_ssl_read(ssl, text, sizeof text))) > 0)
		fwrite(text, 1, (size_t)n, stdout);
	return 0;
}

static int talk(SSL *ssl, int fd)
{
	struct noria_group group;
	int result;

	noria_try(noria_ssl_set_fd(ssl, fd));
	noria_try(noria_within(noria_sec(5), noria_ssl_connect(ssl)));
	result = noria_grouped_until(&group, noria_now() + noria_sec(10), read_answer(&group, ssl));
	if (result == 0)
		result = noria_ssl_shutdown(ssl, noria_sec(1));
	return result;
}

static int run(void *arg)
{
	char **word = arg;
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(word[2]))};
	noria_autoclose int fd = noria_try(noria_socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());
	SSL *ssl = context ? SSL_new(context) : NULL;
	int result = -EINVAL;

	if (ssl && inet_pton(AF_INET, word[1], &address.sin_addr) == 1 && SSL_set1_host(ssl, word[3]) == 1 &&
	    SSL_set_tlsext_host_name(ssl, word[3]) == 1 && SSL_CTX_load_verify_locations(context, word[4], NULL) == 1) {
		SSL_set_verify(ssl, SSL_VERIFY_PEER, NULL);
		result = noria_connect(fd, (struct sockaddr *)&address, sizeof address);
	}
	if (result == 0)
		result = talk(ssl, fd);
	SSL_free(ssl);
	SSL_CTX_free(context);
	return result;
}

int main(int argc, char **argv)
{
	int result = argc == 5 ? noria_run(NULL, run, argv) : -EINVAL;

	if (result < 0)
		fprintf(stderr, "tls: %s %s\n", strerror(-result), noria_message());
	return result < 0;
}
