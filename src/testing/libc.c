/* SPDX-License-Identifier: MIT */
/* What all of the C library's calls have in common: see libc.h. */
#include "testing/libc.h"

#include "base/message.h"
#include "simulation/file.h"
#include "simulation/host.h"
#include "simulation/ring.h"
#include "testing/thread.h"

#include <fcntl.h>

enum { RETRY_NS = 20 * 1000 };

#if defined(__x86_64__)
static long call_kernel(long number, long a, long b, long c, long d, long e, long f)
{
	register long r10 __asm__("r10") = d, r8 __asm__("r8") = e, r9 __asm__("r9") = f;
	long r;

	__asm__ volatile("syscall"
			 : "=a"(r)
			 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return r;
}
#elif defined(__aarch64__)
static long call_kernel(long number, long a, long b, long c, long d, long e, long f)
{
	register long x8 __asm__("x8") = number, x0 __asm__("x0") = a, x1 __asm__("x1") = b, x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = d, x4 __asm__("x4") = e, x5 __asm__("x5") = f;

	__asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
	return x0;
}
#else
#error "libnoria-test knows how to call the kernel on x86-64 and aarch64"
#endif

long noria_libc_raw(long number, long a, long b, long c, long d, long e, long f)
{
	return libc_answer(call_kernel(number, a, b, c, d, e, f));
}

/* Between two runs a world has no ring, and its descriptors may be looked at all the same. */
static struct sim_ring *ring_of(struct sim_world *world)
{
	static __thread struct sim_ring none;

	none.world = world;
	return world->ring ? world->ring : &none;
}

int64_t noria_libc_make(struct io_uring_sqe *sqe)
{
	struct sim_request request;

	sim_request_init(&request, ring_of(sim_world));
	request.sqe = *sqe;
	request.sqe.personality = (uint16_t)testing_host()->number;
	return sim_request_attempt(&request);
}

static bool is_nonblocking(int fd)
{
	struct sim_file *file = sim_fd_file(sim_world, fd);

	return file && (file->flags & O_NONBLOCK);
}

int noria_libc_refuse_wait(const char *what)
{
	return noria_refuse(-EAGAIN,
			    "the C library's %s on a simulated descriptor would have to wait, and with it the whole "
			    "simulated world. Remedy: noria's own call, or an offloaded one",
			    what);
}

int64_t noria_libc_make_waiting(struct io_uring_sqe *sqe)
{
	int64_t r = noria_libc_make(sqe);

	if (r != -EAGAIN || is_nonblocking(sqe->fd))
		return r;
	if (!testing_thread())
		return noria_libc_refuse_wait(sim_operations[sqe->opcode].name);
	while (r == -EAGAIN) {
		testing_thread_sleep(RETRY_NS);
		r = noria_libc_make(sqe);
	}
	return r;
}

struct sim_file *noria_libc_file(int fd)
{
	struct sim_file *file = sim_fd_file(sim_world, fd);

	if (file && !sim_file_is_dead(file))
		return file;
	errno = file ? EHOSTDOWN : EBADF;
	return NULL;
}

bool noria_libc_names_ours(int dirfd, const char *path)
{
	return libc_is_ours(dirfd) || ((dirfd == AT_FDCWD || (path && path[0] == '/')) && testing_simulated());
}

struct sim_host *noria_libc_host(void)
{
	return testing_simulated() ? testing_host() : NULL;
}

long noria_libc_refuse(const char *what)
{
	return libc_answer(noria_refuse(-EOPNOTSUPP, "%s is not simulated", what));
}
