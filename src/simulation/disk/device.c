/* SPDX-License-Identifier: MIT */
/* What is in /dev. Chance is drawn from the seed, and a program that asks for it is told from the world's own. */
#include "simulation/disk/inode.h"

#include "simulation/world.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/sysmacros.h>

enum { CHUNK = 256 };

static unsigned minor_of(struct sim_file *file)
{
	return minor(sim_disk_file(file)->inode->device);
}

/* Zeros, or numbers. */
static void fill(struct sim_world *world, bool random, unsigned char *chunk)
{
	memset(chunk, 0, CHUNK);
	for (size_t i = 0; random && i < CHUNK; i += sizeof(uint32_t)) {
		uint32_t drawn = (uint32_t)sim_draw(world, SIM_CHOICE_PROGRAM, UINT64_C(1) << 32);

		memcpy(chunk + i, &drawn, sizeof drawn);
	}
}

static int64_t device_read(struct sim_file *file, struct sim_transfer *transfer)
{
	unsigned device = minor_of(file);
	unsigned char chunk[CHUNK];
	size_t done = 0;

	if ((file->flags & O_ACCMODE) == O_WRONLY || file->flags & O_PATH)
		return -EBADF;
	if (device == SIM_DEVICE_NULL)
		return 0;
	while (done < transfer->size) {
		fill(file->world, device == SIM_DEVICE_RANDOM || device == SIM_DEVICE_URANDOM, chunk);
		done += sim_transfer_to(transfer, done, chunk,
					transfer->size - done < CHUNK ? transfer->size - done : CHUNK);
	}
	return (int64_t)done;
}

static int64_t device_write(struct sim_file *file, struct sim_transfer *transfer)
{
	if ((file->flags & O_ACCMODE) == O_RDONLY || file->flags & O_PATH)
		return -EBADF;
	return minor_of(file) == SIM_DEVICE_FULL ? -ENOSPC : (int64_t)transfer->size;
}

const struct sim_file_class sim_device_class = {
	.noun = "device", .read = device_read, .write = device_write, .release = sim_disk_file_release};
