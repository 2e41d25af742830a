/* SPDX-License-Identifier: MIT */
/* Who owns a file, what its owner and others may do with it, and its times. The ring has none of these. */
#include "noria/file.h"

#include "base/message.h"
#include "file/blocking.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/syscall.h>

int noria_fchmod(int fd, mode_t mode)
{
	return (int)file_block("fchmod", fd, -1, SYS_fchmod, fd, (long)mode);
}

/* The system call has no flags. */
int noria_fchmodat(int dirfd, const char *path, mode_t mode, int flags)
{
	if (flags)
		return noria_refuse(-EOPNOTSUPP,
				    "fchmodat takes no flags (%#x): the mode of a symbolic link is not set",
				    (unsigned)flags);
	return (int)file_block("fchmodat", dirfd, -1, SYS_fchmodat, dirfd, (long)path, (long)mode);
}

int noria_fchown(int fd, uid_t owner, gid_t group)
{
	return (int)file_block("fchown", fd, -1, SYS_fchown, fd, (long)owner, (long)group);
}

int noria_fchownat(int dirfd, const char *path, uid_t owner, gid_t group, int flags)
{
	return (int)file_block("fchownat", dirfd, -1, SYS_fchownat, dirfd, (long)path, (long)owner, (long)group, flags);
}

int noria_utimensat(int dirfd, const char *path, const struct timespec times[2], int flags)
{
	if (!path) /* which the system call takes for futimens(3) */
		return -EINVAL;
	return (int)file_block("utimensat", dirfd, -1, SYS_utimensat, dirfd, (long)path, (long)times, flags);
}

int noria_futimens(int fd, const struct timespec times[2])
{
	if (fd < 0) /* AT_FDCWD would be the working directory */
		return -EBADF;
	return (int)file_block("futimens", fd, -1, SYS_utimensat, fd, 0L, (long)times, 0);
}
