/* SPDX-License-Identifier: MIT */
/*
 * A whole file into memory. What the file says of its size is a hint: it is read up to its end, in memory that doubles,
 * up to one byte more than is allowed, by which a file that is too large is known.
 */
#include "noria/whole.h"

#include "base/memory.h"
#include "base/message.h"
#include "noria/file.h"
#include "noria/op.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { FIRST = 4096 };

struct content {
	char *data;
	size_t size, room; /* `data` has room for a zero besides */
	size_t max;
};

static int too_large(const char *path, size_t max)
{
	return noria_refuse(-EFBIG, "%s has more than %zu bytes", path, max);
}

static int make_room(struct content *content, size_t room)
{
	size_t bounded = room < content->max ? room : content->max + 1;
	char *data = memory_resize(content->data, bounded + 1);

	if (!data)
		return noria_refuse(-ENOMEM, "no memory for a file of %zu bytes", bounded);
	content->data = data;
	content->room = bounded;
	return 0;
}

static int read_up(struct content *content, int fd, const char *path)
{
	for (;;) {
		ssize_t n = 0;

		if (content->size == content->room)
			n = content->size > content->max ? too_large(path, content->max)
							 : make_room(content, content->room * 2);
		if (n == 0)
			n = noria_read(fd, content->data + content->size, content->room - content->size);
		if (n == -EINTR)
			continue;
		if (n <= 0)
			return (int)n;
		content->size += (size_t)n;
	}
}

static int read_open(struct content *content, int fd, const char *path)
{
	size_t room = FIRST;
	struct stat status;
	int r = noria_fstat(fd, &status);

	if (r < 0)
		return r;
	if (S_ISREG(status.st_mode) && status.st_size > 0) {
		if ((size_t)status.st_size > content->max)
			return too_large(path, content->max);
		room = (size_t)status.st_size + 1; /* and the end is seen without growing */
	}
	r = make_room(content, room);
	return r < 0 ? r : read_up(content, fd, path);
}

int noria_read_file(int dirfd, const char *path, size_t max, void **ret_data, size_t *ret_size)
{
	noria_autoclose int fd = noria_openat(dirfd, path, O_RDONLY | O_CLOEXEC, 0);
	struct content content = {.max = max < SSIZE_MAX / 4 ? max : SSIZE_MAX / 4};
	char *smaller;
	int r;

	if (fd < 0)
		return fd;
	r = read_open(&content, fd, path);
	if (r < 0) {
		free(content.data);
		return r;
	}
	smaller = memory_resize(content.data, content.size + 1);
	content.data = smaller ? smaller : content.data;
	content.data[content.size] = '\0';
	*ret_data = content.data;
	if (ret_size)
		*ret_size = content.size;
	return 0;
}
