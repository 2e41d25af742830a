/* SPDX-License-Identifier: MIT */
/* Opening by a path. Workers of the kernel carry it out where the path is not cached, so the heap keeps time limits. */
#include "noria/file.h"

#include "base/message.h"
#include "file/blocking.h"
#include "op/op.h"

#include <errno.h>
#include <fcntl.h>

int noria_openat(int dirfd, const char *path, int flags, mode_t mode)
{
	int r = noria_file_refuse_direct("openat", dirfd, -1);

	return r < 0 ? r : (int)op_call("openat", 0, io_uring_prep_openat, dirfd, path, flags, mode);
}

int noria_open(const char *path, int flags, mode_t mode)
{
	return noria_openat(AT_FDCWD, path, flags, mode);
}

int noria_creat(const char *path, mode_t mode)
{
	return noria_openat(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode);
}

int noria_openat2(int dirfd, const char *path, const struct open_how *how, size_t size)
{
	int r = noria_file_refuse_direct("openat2", dirfd, -1);

	if (r < 0)
		return r;
	if (size != sizeof *how)
		return noria_refuse(-EINVAL, "openat2: size %zu is not that of struct open_how (%zu)", size,
				    sizeof *how);
	return (int)op_call("openat2", 0, io_uring_prep_openat2, dirfd, path, (struct open_how *)(uintptr_t)how);
}
