/* SPDX-License-Identifier: MIT */
/* What is done by a path: opening, and asking. Workers of the kernel carry it out, so the heap keeps time limits. */
#include "noria/file.h"

#include "base/message.h"
#include "op/op.h"

#include <errno.h>

int noria_openat(int dirfd, const char *path, int flags, mode_t mode)
{
	return (int)op_call("openat", 0, io_uring_prep_openat, dirfd, path, flags, mode);
}

int noria_openat2(int dirfd, const char *path, const struct open_how *how, size_t size)
{
	if (size != sizeof *how)
		return noria_refuse(-EINVAL, "openat2: size %zu is not that of struct open_how (%zu)", size,
				    sizeof *how);
	return (int)op_call("openat2", 0, io_uring_prep_openat2, dirfd, path, (struct open_how *)(uintptr_t)how);
}

int noria_statx(int dirfd, const char *path, int flags, unsigned mask, struct statx *result)
{
	return (int)op_call("statx", 0, io_uring_prep_statx, dirfd, path, flags, mask, result);
}
