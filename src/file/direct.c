/* SPDX-License-Identifier: MIT */
/* What O_DIRECT asks for. The kernel's own struct statx, since that of older C libraries does not have it. */
#include "noria/block.h"
#include "noria/file.h"

#include "base/message.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/stat.h>

enum { ALIGNMENT = 4096 };

int noria_direct_alignment(int fd)
{
	struct statx status;
	int r = noria_statx(fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &status);

	if (r < 0)
		return r;
	if (!(status.stx_mask & STATX_DIOALIGN))
		return ALIGNMENT;
	if (status.stx_dio_offset_align == 0)
		return noria_refuse(-EOPNOTSUPP,
				    "O_DIRECT does not work on descriptor %d. Remedy: open the file without it", fd);
	return (int)(status.stx_dio_offset_align > status.stx_dio_mem_align ? status.stx_dio_offset_align
									    : status.stx_dio_mem_align);
}
