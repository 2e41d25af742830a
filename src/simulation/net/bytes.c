/* SPDX-License-Identifier: MIT */
/* Bytes in order. Positions only grow; the memory is a ring, which doubles when it is full. */
#include "simulation/net/socket.h"

#include <stdlib.h>
#include <string.h>

enum { CAPACITY_FIRST = 4096 };

static size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* In at most two parts: up to the end of the memory, and from its beginning. */
static void move(const struct sim_bytes *from, struct sim_bytes *to)
{
	uint64_t position = from->first;

	while (position < from->end) {
		size_t source = position & (from->capacity - 1), target = position & (to->capacity - 1);
		size_t part = smaller(from->capacity - source, to->capacity - target);

		part = smaller(part, (size_t)(from->end - position));
		memcpy(to->memory + target, from->memory + source, part);
		position += part;
	}
}

bool sim_bytes_reserve(struct sim_bytes *bytes, size_t more)
{
	struct sim_bytes larger = *bytes;
	size_t needed = (size_t)(bytes->end - bytes->first) + more;

	if (needed <= bytes->capacity)
		return true;
	larger.capacity = bytes->capacity ? bytes->capacity : CAPACITY_FIRST;
	while (larger.capacity < needed)
		larger.capacity *= 2;
	larger.memory = malloc(larger.capacity);
	if (!larger.memory)
		return false;
	move(bytes, &larger);
	free(bytes->memory);
	*bytes = larger;
	return true;
}

void sim_bytes_append(struct sim_bytes *bytes, const struct sim_transfer *transfer, size_t size)
{
	size_t place = bytes->end & (bytes->capacity - 1), part = smaller(size, bytes->capacity - place);

	sim_transfer_from(transfer, 0, bytes->memory + place, part);
	if (part < size)
		sim_transfer_from(transfer, part, bytes->memory, size - part);
	bytes->end += size;
}

void sim_bytes_copy(const struct sim_bytes *bytes, const struct sim_transfer *transfer, size_t size)
{
	size_t place = bytes->first & (bytes->capacity - 1), part = smaller(size, bytes->capacity - place);

	sim_transfer_to(transfer, 0, bytes->memory + place, part);
	if (part < size)
		sim_transfer_to(transfer, part, bytes->memory, size - part);
}
