/* SPDX-License-Identifier: MIT */
/* The ring's operations of sockets and pipes. */
#include "simulation/net/net.h"
#include "simulation/operation.h"

#include <errno.h>
#include <sys/ioctl.h>

/* sqe->addr, as the kernel has it in user memory. */
static void *address_of(const struct sim_request *request)
{
	return (void *)(uintptr_t)request->sqe.addr;
}

int64_t sim_run_socket(struct sim_request *request)
{
	const struct io_uring_sqe *sqe = &request->sqe;
	struct sim_file *file;
	int r = sim_socket_new(request->host, sqe->fd, (int)sqe->off, (int)sqe->len, &file);

	return r < 0 ? r : sim_request_install(request, file);
}

int64_t sim_run_bind(struct sim_request *request)
{
	return sim_bind(request->file, address_of(request), (socklen_t)request->sqe.addr2);
}

int64_t sim_run_listen(struct sim_request *request)
{
	return sim_listen(request->file, (int)request->sqe.len);
}

/* Without a descriptor for it a connection stays where it is. */
int64_t sim_run_accept(struct sim_request *request)
{
	socklen_t *length = (void *)(uintptr_t)request->sqe.addr2;
	struct sim_file *file;
	int64_t r = sim_accept_new(request->file, address_of(request), length, (int)request->sqe.accept_flags, &file);

	if (r < 0)
		return r;
	r = sim_request_install(request, sim_file_ref(file));
	if (r < 0)
		sim_accept_undo(request->file, file);
	else
		sim_file_unref(file);
	return r;
}

/* It waits inside, whatever the file's flags say. */
int64_t sim_run_connect(struct sim_request *request)
{
	int r = sim_connect(request->file, address_of(request), (socklen_t)request->sqe.addr2);

	if (r == -EALREADY && !request->begun)
		return r; /* another's */
	request->begun = true;
	return r == -EINPROGRESS || r == -EALREADY ? -EAGAIN : r;
}

int64_t sim_run_shutdown(struct sim_request *request)
{
	return sim_shutdown(request->file, (int)request->sqe.len);
}

int64_t sim_run_socket_command(struct sim_request *request)
{
	const struct io_uring_sqe *sqe = &request->sqe;
	void *value = (void *)(uintptr_t)sqe->optval;
	socklen_t length = sqe->optlen;
	int size = 0, r;

	switch (sqe->cmd_op) {
	case SOCKET_URING_OP_SIOCINQ:
		r = sim_socket_ioctl(request->file, FIONREAD, &size);
		return r < 0 ? r : size;
	case SOCKET_URING_OP_SIOCOUTQ:
		r = sim_socket_ioctl(request->file, TIOCOUTQ, &size);
		return r < 0 ? r : size;
	case SOCKET_URING_OP_GETSOCKOPT: /* the kernel's knows this level alone */
		if (sqe->level != SOL_SOCKET)
			return -EOPNOTSUPP;
		r = sim_getsockopt(request->file, (int)sqe->level, (int)sqe->optname, value, &length);
		return r < 0 ? r : (int64_t)length;
	case SOCKET_URING_OP_SETSOCKOPT:
		return sim_setsockopt(request->file, (int)sqe->level, (int)sqe->optname, value, length);
	default:
		return -EOPNOTSUPP;
	}
}

/* ---- pipes ---- */

/* Give back what sim_request_install() gave. */
static void uninstall(struct sim_request *request, int64_t installed)
{
	struct sim_request close = {.ring = request->ring, .host = request->host};

	if (request->sqe.file_index == 0)
		close.sqe.fd = (int)installed;
	else if (request->sqe.file_index == IORING_FILE_INDEX_ALLOC)
		close.sqe.file_index = (unsigned)installed + 1;
	else
		close.sqe.file_index = request->sqe.file_index;
	(void)sim_run_close(&close);
}

/* Where direct descriptors have a place of their own, the end that is written to has the next one. */
static int64_t install_second(struct sim_request *request, struct sim_file *file)
{
	unsigned place = request->sqe.file_index;
	int64_t r;

	if (place != 0 && place != IORING_FILE_INDEX_ALLOC)
		request->sqe.file_index++;
	r = sim_request_install(request, file);
	request->sqe.file_index = place;
	return r;
}

/* Two descriptors or none. */
int64_t sim_run_pipe(struct sim_request *request)
{
	struct sim_file *files[2];
	int64_t first, second;
	int *fds = address_of(request), r = sim_pipe_new(request->host, (int)request->sqe.rw_flags, files);

	if (r < 0)
		return r;
	first = sim_request_install(request, files[0]);
	if (first < 0) {
		sim_file_unref(files[1]);
		return first;
	}
	second = install_second(request, files[1]);
	if (second < 0) {
		uninstall(request, first);
		return second;
	}
	fds[0] = (int)first;
	fds[1] = (int)second;
	return 0;
}
