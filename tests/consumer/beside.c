/* SPDX-License-Identifier: MIT */
/*
 * A program that uses liburing itself, beside noria: a ring of its own, asked outside of noria, inside of a task, and
 * outside again. It is linked statically with all of both, where a name that both define would be an error.
 * Prints the library's version, as talk.c does.
 */
#include <errno.h>
#include <liburing.h>
#include <noria/noria.h>
#include <stdio.h>
#include <string.h>

static struct io_uring ring;

static int ask_own_ring(void)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);
	struct io_uring_cqe *cqe;

	if (!sqe)
		return -EBUSY;
	io_uring_prep_nop(sqe);
	int result = io_uring_submit_and_wait(&ring, 1);
	if (result >= 0)
		result = io_uring_wait_cqe(&ring, &cqe);
	if (result < 0)
		return result;
	result = cqe->res;
	io_uring_cqe_seen(&ring, cqe);
	return result;
}

static int ask_both(void *arg)
{
	(void)arg;
	noria_try(noria_sleep(noria_msec(1)));
	noria_try(ask_own_ring());
	return noria_sleep(noria_msec(1));
}

int main(void)
{
	int result = io_uring_queue_init(4, &ring, 0);

	if (result == -ENOSYS || result == -EPERM) {
		puts("skip: kernel lacks io_uring: no ring can be made");
		return 77;
	}
	if (result == 0)
		result = ask_own_ring();
	if (result == 0)
		result = noria_run(NULL, ask_both, NULL);
	if (result == 0)
		result = ask_own_ring();
	if (result < 0) {
		fprintf(stderr, "beside: %s: %s\n", strerror(-result), noria_message());
		return 1;
	}
	io_uring_queue_exit(&ring);
	puts(noria_version());
	return 0;
}
