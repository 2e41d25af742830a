/* SPDX-License-Identifier: MIT */
/*
 * What this kernel does is found out when it matters for the first time, by a write that must come short: over the end
 * of a file in memory that may not grow.
 */
#include "op/position.h"

#include "base/memory.h"
#include "op/op.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { UNKNOWN, MOVES, STAYS };

/* Where nothing can be found out: as it was seen to be. */
static int try_out(void)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	int fd = memfd_create("noria", MFD_CLOEXEC | MFD_ALLOW_SEALING), result = STAYS;
	void *bytes = memory_zeroed(2, page);

	if (bytes && fd >= 0 && ftruncate(fd, (off_t)page) == 0 && fcntl(fd, F_ADD_SEALS, F_SEAL_GROW) == 0 &&
	    op_call("write", OP_ALWAYS, io_uring_prep_write, fd, bytes, (unsigned)(2 * page), (uint64_t)-1) > 0)
		result = lseek(fd, 0, SEEK_CUR) > 0 ? MOVES : STAYS;
	if (fd >= 0)
		close(fd);
	free(bytes);
	return result;
}

static bool position_moves(void)
{
	static atomic_int known; /* of the kernel, so of all runtimes; two that try at once find the same */
	int found = atomic_load(&known);

	if (found == UNKNOWN) {
		found = try_out();
		atomic_store(&known, found);
	}
	return found == MOVES;
}

static bool has_position(int fd)
{
	struct stat status;

	return fstat(fd, &status) == 0 && (S_ISREG(status.st_mode) || S_ISBLK(status.st_mode));
}

void noria_file_came_short(int fd, uint32_t closes, size_t moved)
{
	if (noria_loop->ring->simulated) /* there it moves, as POSIX has it */
		return;
	if (fd_is_direct(fd) || file_closes(fd) != closes || !has_position(fd) || position_moves())
		return;
	if (file_closes(fd) != closes)
		return; /* meanwhile: the number may be another's by now */
	if (fcntl(fd, F_GETFL) & O_APPEND)
		(void)lseek(fd, 0, SEEK_END);
	else
		(void)lseek(fd, (off_t)moved, SEEK_CUR);
}
