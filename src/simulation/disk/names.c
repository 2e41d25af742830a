/* SPDX-License-Identifier: MIT */
/*
 * The names in a directory: a table to find them, and a list in the order in which they came, which is the order in
 * which they are listed. So one that is listed while names come and go misses none that stays.
 */
#include "simulation/disk/inode.h"

#include "base/assert.h"

#include <stdlib.h>
#include <string.h>

enum { BUCKETS_MIN = 8 };

/* FNV-1a */
static uint32_t hash_of(const char *text, size_t length)
{
	uint32_t hash = 2166136261;

	for (size_t i = 0; i < length; i++)
		hash = (hash ^ (unsigned char)text[i]) * 16777619;
	return hash;
}

struct sim_name *sim_name_find(const struct sim_inode *directory, const char *text, size_t length)
{
	uint32_t hash = hash_of(text, length);
	struct sim_name *name = NULL;

	if (directory->buckets_count > 0)
		name = directory->buckets[hash % directory->buckets_count];
	while (name && (name->hash != hash || name->length != length || memcmp(name->text, text, length) != 0))
		name = name->chain;
	return name;
}

struct sim_name *sim_name_new(struct sim_inode *inode, const char *text, size_t length)
{
	struct sim_name *name = calloc(1, sizeof *name + length + 1);

	if (!name)
		return NULL;
	list_init(&name->node);
	name->inode = sim_inode_ref(inode);
	name->hash = hash_of(text, length);
	name->length = (uint8_t)length;
	memcpy(name->text, text, length);
	return name;
}

void sim_name_free(struct sim_name *name)
{
	if (!name)
		return;
	sim_inode_unref(name->inode);
	free(name);
}

bool sim_name_room(struct sim_inode *directory)
{
	unsigned count = directory->buckets_count ? directory->buckets_count * 2 : BUCKETS_MIN;
	struct sim_name **buckets;

	if (directory->names_count < directory->buckets_count)
		return true;
	buckets = calloc(count, sizeof *buckets);
	if (!buckets)
		return false;
	for (struct list *node = directory->names.next; node != &directory->names; node = node->next) {
		struct sim_name *name = list_entry(node, struct sim_name, node);

		name->chain = buckets[name->hash % count];
		buckets[name->hash % count] = name;
	}
	free(directory->buckets);
	directory->buckets = buckets;
	directory->buckets_count = count;
	return true;
}

void sim_name_insert(struct sim_inode *directory, struct sim_name *name)
{
	struct sim_name **bucket = &directory->buckets[name->hash % directory->buckets_count];

	name->chain = *bucket;
	*bucket = name;
	name->order = ++directory->order;
	list_push_back(&directory->names, &name->node);
	directory->names_count++;
	name->inode->links++;
	if (S_ISDIR(name->inode->mode)) {
		directory->directories++;
		name->inode->parent = directory;
	}
}

void sim_name_remove(struct sim_inode *directory, struct sim_name *name)
{
	struct sim_name **at = &directory->buckets[name->hash % directory->buckets_count];

	while (*at != name)
		at = &(*at)->chain;
	*at = name->chain;
	list_remove(&name->node);
	directory->names_count--;
	name->inode->links--;
	if (S_ISDIR(name->inode->mode)) {
		directory->directories--;
		name->inode->parent = NULL;
	}
}
