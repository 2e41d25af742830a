/* SPDX-License-Identifier: MIT */
/*
 * Hashes files: `hasher FILE...` prints the 64-bit FNV-1a hash of each. The files are read on the ring; the hashing is
 * pure computation, so it is offloaded to a thread and the loop stays free to read the other files meanwhile.
 *
 * Four workers share one list. Taking the next file needs no lock: tasks of one runtime run on one thread, and are
 * switched only at checkpoints. A file that cannot be read is noted, and does not stop the others.
 */
#include <noria/noria.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WORKERS = 4, CHUNK = 256 * 1024 };

struct file {
	const char *path;
	uint64_t hash;
	int error;
};

struct list {
	struct file *files;
	int count, next;
};

struct chunk {
	uint64_t hash;
	size_t size;
	unsigned char bytes[CHUNK];
};

/* Runs on a thread of the executor. */
static int hash_chunk(void *arg)
{
	struct chunk *chunk = arg;

	for (size_t i = 0; i < chunk->size; i++)
		chunk->hash = (chunk->hash ^ chunk->bytes[i]) * 0x100000001b3;
	return 0;
}

static int hash_file(struct file *file, struct chunk *chunk)
{
	noria_autoclose int fd = noria_try(noria_openat(AT_FDCWD, file->path, O_RDONLY | O_CLOEXEC, 0));
	ssize_t n;

	chunk->hash = 0xcbf29ce484222325;
	while ((n = noria_try(noria_read_all(fd, chunk->bytes, CHUNK))) > 0) {
		chunk->size = (size_t)n;
		noria_try(noria_offload(hash_chunk, chunk));
	}
	file->hash = chunk->hash;
	return 0;
}

static int worker(void *arg)
{
	struct list *list = arg;
	struct chunk *chunk = malloc(sizeof *chunk);

	if (!chunk)
		return -ENOMEM;
	while (noria_check() == 0 && list->next < list->count) {
		struct file *file = &list->files[list->next++];

		file->error = hash_file(file, chunk);
	}
	free(chunk);
	return 0;
}

static int start_workers(struct noria_group *workers, struct list *list)
{
	for (int i = 0; i < WORKERS; i++)
		noria_try(noria_spawn(workers, worker, list));
	return 0;
}

static int hash_all(void *arg)
{
	struct noria_group workers;

	return noria_grouped(&workers, start_workers(&workers, arg));
}

int main(int argc, char **argv)
{
	struct list list = {.files = calloc((size_t)argc, sizeof(struct file)), .count = argc - 1};
	int result, failed = 0;

	for (int i = 0; list.files && i < list.count; i++)
		list.files[i] = (struct file){.path = argv[i + 1], .error = -ECANCELED};
	result = list.files ? noria_run(NULL, hash_all, &list) : -ENOMEM;
	if (result < 0)
		fprintf(stderr, "hasher: %s %s\n", strerror(-result), noria_message());
	for (int i = 0; list.files && i < list.count; i++) {
		struct file *file = &list.files[i];

		if (file->error < 0)
			fprintf(stderr, "hasher: %s: %s\n", file->path, strerror(-file->error));
		else
			printf("%016" PRIx64 "  %s\n", file->hash, file->path);
		failed |= file->error < 0;
	}
	free(list.files);
	return result < 0 || failed;
}
