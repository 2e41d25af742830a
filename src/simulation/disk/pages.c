/* SPDX-License-Identifier: MIT */
/* The pages of a file, and which of them are durable. Pages go round: those that are freed are kept for the next. */
#include "simulation/disk/inode.h"

#include "base/assert.h"
#include "simulation/host.h"
#include "simulation/world.h"

#include <stdlib.h>
#include <string.h>

/* A page that is written again had been written by the system in the meantime, once in so many times. */
enum { WRITTEN_BEFORE = 8, FANOUT_BITS = 6 };

struct branch {
	void *below[SIM_PAGES_FANOUT];
};

/* ---- memory ---- */

struct sim_page *sim_page_alloc(struct sim_disk *disk)
{
	struct list *node = list_pop_front(&disk->spare);
	struct sim_page *page = node ? list_entry(node, struct sim_page, node) : malloc(sizeof *page);

	if (!page)
		return NULL;
	disk->spares -= node != NULL;
	list_init(&page->node);
	page->dirty = false;
	page->durable = NULL;
	return page;
}

void sim_page_free(struct sim_disk *disk, struct sim_page *page)
{
	if (!page)
		return;
	sim_page_free(disk, page->durable);
	if (disk->spares == SIM_PAGES_SPARE) {
		free(page);
		return;
	}
	list_push_front(&disk->spare, &page->node);
	disk->spares++;
}

struct sim_page *sim_page_copy(struct sim_disk *disk, const struct sim_page *page)
{
	struct sim_page *copy = sim_page_alloc(disk);

	if (!copy)
		return NULL;
	if (page->durable) {
		copy->durable = sim_page_copy(disk, page->durable);
		if (!copy->durable) {
			sim_page_free(disk, copy);
			return NULL;
		}
	}
	copy->index = page->index;
	copy->dirty = page->dirty;
	memcpy(copy->bytes, page->bytes, sizeof copy->bytes);
	return copy;
}

/* ---- the tree ---- */

static unsigned place(uint64_t index, unsigned depth)
{
	return (unsigned)(index >> (depth - 1) * FANOUT_BITS) % SIM_PAGES_FANOUT;
}

static bool fits(const struct sim_pages *pages, uint64_t index)
{
	return index >> pages->depth * FANOUT_BITS == 0;
}

struct sim_page *sim_page_find(const struct sim_inode *inode, uint64_t index)
{
	void *at = inode->pages.root;

	if (!fits(&inode->pages, index))
		return NULL;
	for (unsigned depth = inode->pages.depth; at && depth > 0; depth--)
		at = ((struct branch *)at)->below[place(index, depth)];
	return at;
}

static struct sim_page *next_below(void *at, unsigned depth, uint64_t index)
{
	if (!at || depth == 0)
		return at;
	for (unsigned i = place(index, depth); i < SIM_PAGES_FANOUT; i++) {
		struct sim_page *page = next_below(((struct branch *)at)->below[i], depth - 1, index);

		if (page)
			return page;
		index = 0; /* the following branches from their beginning */
	}
	return NULL;
}

struct sim_page *sim_page_next(const struct sim_inode *inode, uint64_t index)
{
	return fits(&inode->pages, index) ? next_below(inode->pages.root, inode->pages.depth, index) : NULL;
}

static bool deepen(struct sim_pages *pages, uint64_t index)
{
	while (!fits(pages, index)) {
		if (pages->root) {
			struct branch *branch = calloc(1, sizeof *branch);

			if (!branch)
				return false;
			branch->below[0] = pages->root;
			pages->root = branch;
		}
		pages->depth++;
	}
	return true;
}

/* Where the page of this index is to be, or NULL: no memory. */
static void **make_way(struct sim_pages *pages, uint64_t index)
{
	void **at = &pages->root;

	if (!deepen(pages, index))
		return NULL;
	for (unsigned depth = pages->depth; depth > 0; depth--) {
		if (!*at)
			*at = calloc(1, sizeof(struct branch));
		if (!*at)
			return NULL;
		at = &((struct branch *)*at)->below[place(index, depth)];
	}
	return at;
}

bool sim_page_put(struct sim_inode *inode, struct sim_page *page)
{
	void **at = make_way(&inode->pages, page->index);

	if (!at)
		return false;
	invariant(!*at);
	*at = page;
	inode->pages_count++;
	inode->disk->pages++;
	if (page->dirty)
		list_push_back(&inode->dirty, &page->node);
	else if (page->durable)
		list_push_back(&inode->stale, &page->node);
	if (page->dirty || page->durable)
		sim_inode_is_dirty(inode);
	return true;
}

struct sim_page *sim_page_add(struct sim_inode *inode, uint64_t index)
{
	struct sim_page *page = sim_page_alloc(inode->disk);

	if (!page)
		return NULL;
	page->index = index;
	page->dirty = true;
	memset(page->bytes, 0, sizeof page->bytes);
	if (!sim_page_put(inode, page)) {
		sim_page_free(inode->disk, page);
		return NULL;
	}
	return page;
}

/* Empty branches go with the last page, so that they need not be counted. */
static void free_branches(void *at, unsigned depth)
{
	if (!at || depth == 0)
		return;
	for (unsigned i = 0; i < SIM_PAGES_FANOUT; i++)
		free_branches(((struct branch *)at)->below[i], depth - 1);
	free(at);
}

void sim_page_take(struct sim_inode *inode, struct sim_page *page)
{
	void **at = make_way(&inode->pages, page->index);

	invariant(at && *at == page);
	*at = NULL;
	list_remove(&page->node);
	inode->pages_count--;
	inode->disk->pages--;
	if (inode->pages_count > 0)
		return;
	free_branches(inode->pages.root, inode->pages.depth);
	inode->pages = (struct sim_pages){NULL, 0};
}

void sim_pages_drop(struct sim_inode *inode, uint64_t from, uint64_t to)
{
	struct sim_page *page;

	while ((page = sim_page_next(inode, from)) && page->index < to) {
		from = page->index + 1;
		sim_page_take(inode, page);
		sim_page_free(inode->disk, page);
	}
}

/* ---- what is durable ---- */

void sim_inode_is_dirty(struct sim_inode *inode)
{
	if (!list_linked(&inode->dirty_node))
		list_push_back(&inode->disk->dirty, &inode->dirty_node);
}

/* The system writes pages when it likes: what is now in this one may have become durable. */
static bool was_written_before(struct sim_world *world)
{
	return sim_draw(world, SIM_CHOICE_LATENCY, WRITTEN_BEFORE) == 0;
}

static bool keep_durable(struct sim_disk *disk, struct sim_page *page)
{
	if (!page->durable)
		page->durable = sim_page_alloc(disk);
	if (!page->durable)
		return false;
	memcpy(page->durable->bytes, page->bytes, sizeof page->bytes);
	return true;
}

bool sim_page_dirty(struct sim_inode *inode, struct sim_page *page)
{
	bool as_it_is = page->dirty ? was_written_before(inode->disk->host->world) : !page->durable;

	if (as_it_is && !keep_durable(inode->disk, page))
		return false;
	if (page->dirty)
		return true;
	page->dirty = true;
	list_remove(&page->node);
	list_push_back(&inode->dirty, &page->node);
	sim_inode_is_dirty(inode);
	return true;
}

void sim_page_clean(struct sim_inode *inode, struct sim_page *page)
{
	list_remove(&page->node);
	page->dirty = false;
	sim_page_free(inode->disk, page->durable);
	page->durable = NULL;
}

void sim_page_zero_end(struct sim_page *page, size_t from)
{
	memset(page->bytes + from, 0, SIM_PAGE - from);
	if (page->durable)
		memset(page->durable->bytes + from, 0, SIM_PAGE - from);
}
