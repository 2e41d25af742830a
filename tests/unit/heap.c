/* SPDX-License-Identifier: MIT */
/*
 * The heap against a model: an array that is searched for the least (key, order of insertion). Random insertions and
 * removals, from few and from many different keys, must agree with it at each step.
 */
#include "base/heap.h"
#include "unit.h"

enum { NODES = 500, STEPS = 40000 };

struct item {
	struct heap_node node;
	uint64_t order; /* of insertion; 0: not in the heap */
};

struct model {
	struct heap heap;
	struct item items[NODES];
	uint64_t last_order, seed;
	unsigned inside;
};

static struct item *least(struct model *model)
{
	struct item *best = NULL;

	for (int i = 0; i < NODES; i++) {
		struct item *item = &model->items[i];

		if (item->order && (!best || item->node.key < best->node.key ||
				    (item->node.key == best->node.key && item->order < best->order)))
			best = item;
	}
	return best;
}

static void step(struct model *model, uint64_t keys)
{
	struct item *item = &model->items[unit_random(&model->seed) % NODES];

	if (item->order) {
		noria_heap_remove(&model->heap, &item->node);
		item->order = 0;
		model->inside--;
	} else {
		noria_heap_insert(&model->heap, &item->node,
				  (int64_t)(unit_random(&model->seed) % keys) - (int64_t)keys / 2);
		item->order = ++model->last_order;
		model->inside++;
	}
	cr_assert_eq(heap_node_linked(&item->node), item->order != 0);
}

static void compare(struct model *model)
{
	struct item *item = least(model);

	cr_assert_eq(heap_first(&model->heap), item ? &item->node : NULL, "seed %llu", (unsigned long long)model->seed);
}

static void check_against_model(uint64_t keys)
{
	struct model *model = calloc(1, sizeof *model);

	model->seed = 20260101;
	for (int i = 0; i < STEPS; i++) {
		step(model, keys);
		if (i % 16 == 0)
			compare(model);
	}
	while (model->inside > 0) {
		struct item *item = least(model);

		compare(model);
		noria_heap_remove(&model->heap, &item->node);
		item->order = 0;
		model->inside--;
	}
	cr_expect_null(heap_first(&model->heap));
	free(model);
}

Test(heap, agrees_with_a_sorted_model)
{
	check_against_model(1000000);
}

/* Half a second is what the wheel holds, and some are beyond it. */
Test(heap, agrees_with_a_sorted_model_over_a_second)
{
	check_against_model(1000000000);
}

Test(heap, agrees_with_a_sorted_model_over_a_day)
{
	check_against_model(86400000000000);
}

Test(heap, agrees_with_a_sorted_model_when_most_keys_are_equal)
{
	check_against_model(3);
}

/* The earliest goes and comes back later, as timers do; now and then another is moved, to sooner than all or to later. */
static void check_as_timers(uint64_t reach)
{
	struct model *model = calloc(1, sizeof *model);
	int64_t now = 0;

	model->seed = 20260102;
	for (int i = 0; i < STEPS; i++) {
		struct item *item = least(model);

		if (i < NODES)
			item = &model->items[i];
		else if (i % 8 == 0)
			item = &model->items[unit_random(&model->seed) % NODES];
		else
			now = item->node.key;
		if (item->order)
			noria_heap_remove(&model->heap, &item->node);
		noria_heap_insert(&model->heap, &item->node, now + (int64_t)(unit_random(&model->seed) % reach));
		item->order = ++model->last_order;
		compare(model);
	}
	free(model);
}

Test(heap, agrees_with_a_sorted_model_as_time_goes_by)
{
	check_as_timers(1000);
	check_as_timers(400000000);
	check_as_timers(2000000000);
	check_as_timers(60000000000);
}

Test(heap, equal_keys_come_out_in_the_order_of_insertion)
{
	struct heap heap = {0};
	struct item items[100] = {0};

	for (int i = 0; i < 100; i++)
		noria_heap_insert(&heap, &items[i].node, i % 2 ? 7 : INT64_MAX);
	for (int pass = 1; pass >= 0; pass--)
		for (int i = pass; i < 100; i += 2) {
			cr_assert_eq(heap_first(&heap), &items[i].node);
			noria_heap_remove(&heap, &items[i].node);
		}
	cr_expect_null(heap_first(&heap));
}

Test(heap, ascending_and_descending_insertion_of_many_needs_no_stack)
{
	enum { MANY = 200000 };
	struct heap heap = {0};
	struct item *items = calloc(MANY, sizeof *items);

	for (int i = 0; i < MANY; i++)
		noria_heap_insert(&heap, &items[i].node, i % 2 ? i : -i);
	for (int64_t last = INT64_MIN; heap_first(&heap);) {
		cr_assert_geq(heap_first(&heap)->key, last);
		last = heap_first(&heap)->key;
		noria_heap_remove(&heap, heap_first(&heap));
	}
	free(items);
}
