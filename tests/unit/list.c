/* SPDX-License-Identifier: MIT */
/* The intrusive list and the fifo: order, removal anywhere, idempotent removal, against an array as the model. */
#include "base/list.h"
#include "unit.h"

struct item {
	struct list node;
	struct fifo_node link;
	int value;
};

Test(list, pushes_at_both_ends_and_pops_at_the_front)
{
	struct item items[4] = {{.value = 0}, {.value = 1}, {.value = 2}, {.value = 3}};
	const int order[] = {3, 2, 0, 1};
	struct list head;

	list_init(&head);
	cr_expect(list_empty(&head));
	cr_expect_null(list_pop_front(&head));
	list_push_back(&head, &items[0].node);
	list_push_back(&head, &items[1].node);
	list_push_front(&head, &items[2].node);
	list_push_front(&head, &items[3].node);
	for (int i = 0; i < 4; i++)
		cr_expect_eq(list_entry(list_pop_front(&head), struct item, node)->value, order[i]);
	cr_expect(list_empty(&head));
}

Test(list, removal_is_idempotent_and_leaves_the_neighbours_joined)
{
	struct item items[3];
	struct list head;

	list_init(&head);
	for (int i = 0; i < 3; i++)
		list_push_back(&head, &items[i].node);
	for (int i = 0; i < 2; i++)
		list_remove(&items[1].node);
	cr_expect_not(list_linked(&items[1].node));
	cr_expect(list_linked(&items[0].node));
	cr_expect_eq(items[0].node.next, &items[2].node);
	cr_expect_eq(items[2].node.prev, &items[0].node);
}

Test(list, random_changes_agree_with_an_array)
{
	enum { COUNT = 64 };
	struct item items[COUNT];
	struct list head, *node;
	int model[COUNT], size = 0;
	uint64_t seed = 7;

	list_init(&head);
	for (int i = 0; i < COUNT; i++)
		list_init(&items[i].node);
	for (int turn = 0; turn < 20000; turn++) {
		int i = (int)(unit_random(&seed) % COUNT), at = 0;

		if (list_linked(&items[i].node)) {
			list_remove(&items[i].node);
			while (model[at] != i)
				at++;
			memmove(&model[at], &model[at + 1], (size_t)(--size - at) * sizeof model[0]);
		} else {
			list_push_back(&head, &items[i].node);
			model[size++] = i;
		}
		at = 0;
		for (node = head.next; node != &head; node = node->next, at++)
			cr_assert(at < size && node == &items[model[at]].node);
		cr_assert_eq(at, size);
	}
}

Test(fifo, first_in_first_out_also_when_it_runs_empty_between)
{
	struct item items[10];
	struct fifo fifo = {0};

	for (int round = 1; round <= 10; round++) {
		cr_expect(fifo_empty(&fifo));
		cr_expect_null(fifo_pop(&fifo));
		for (int i = 0; i < round; i++)
			fifo_push(&fifo, &items[i].link);
		for (int i = 0; i < round; i++)
			cr_expect_eq(fifo_pop(&fifo), &items[i].link);
	}
}
