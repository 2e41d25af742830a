/* SPDX-License-Identifier: MIT */
/* What noria_run() refuses in its configuration: each bad field gives -EINVAL and a message that names the field. */
#include "unit.h"

static int runs;

static int root(__attribute__((unused)) void *arg)
{
	runs++;
	return 7;
}

static int root_in_root(__attribute__((unused)) void *arg)
{
	EXPECT_EQ(noria_run(NULL, root, NULL), -EBUSY);
	EXPECT(strstr(noria_message(), "Remedy") != NULL);
	return 0;
}

#define REFUSES(field, value) \
	do { \
		struct noria_config config_ = {0}; \
		config_.field = value; \
		runs = 0; \
		cr_expect_eq(noria_run(&config_, root, NULL), -EINVAL, "%s = %s", #field, #value); \
		cr_expect_not_null(strstr(noria_message(), #field), "%s = %s: %s", #field, #value, noria_message()); \
		cr_expect_eq(runs, 0, "%s = %s", #field, #value); \
	} while (0)

#define ACCEPTS(field, value) \
	do { \
		struct noria_config config_ = {0}; \
		config_.field = value; \
		cr_expect_eq(noria_run(&config_, root, NULL), 7, "%s = %s: %s", #field, #value, noria_message()); \
	} while (0)

Test(config, the_defaults_and_all_zero_run)
{
	struct noria_config config = {0};

	cr_expect_eq(noria_run(NULL, root, NULL), 7, "%s", noria_message());
	cr_expect_eq(noria_run(&config, root, NULL), 7, "%s", noria_message());
	cr_expect_str_eq(noria_message(), "");
}

Test(config, ring_sizes)
{
	REFUSES(ring_entries, 1);
	REFUSES(ring_entries, 32769);
	REFUSES(ring_entries_max, 1);
	REFUSES(ring_entries_max, 65536);
	ACCEPTS(ring_entries, 2);
	ACCEPTS(ring_entries, 100);
	ACCEPTS(ring_entries_max, 128);
}

Test(config, enumerations)
{
	REFUSES(timeouts, (enum noria_timeouts)2);
	REFUSES(signals, (enum noria_signals)17);
	ACCEPTS(timeouts, NORIA_TIMEOUTS_HEAP);
	ACCEPTS(signals, NORIA_SIGNALS_NONE);
}

Test(config, durations)
{
	REFUSES(drain_timeout_ns, -1);
	REFUSES(cancel_timeout_ns, -1);
	ACCEPTS(drain_timeout_ns, NORIA_FOREVER);
	ACCEPTS(cancel_timeout_ns, NORIA_FOREVER);
}

Test(config, stacks)
{
	REFUSES(stack_size, (size_t)1 << 40);
	REFUSES(stack_size, SIZE_MAX);
	ACCEPTS(stack_size, (size_t)1 << 20);
}

Test(config, receive_buffers)
{
	REFUSES(receive_buffers, 3);
	REFUSES(receive_buffers, 65536);
	REFUSES(receive_buffer_size, UINT32_MAX);
	REFUSES(direct_descriptors, (1 << 20) - 63);
	ACCEPTS(receive_buffers, 1);
	ACCEPTS(receive_buffer_size, 1);
	ACCEPTS(direct_descriptors, (1 << 20) - 64);
}

Test(config, executor)
{
	REFUSES(executor_threads, UINT32_MAX);
	REFUSES(executor_queue, UINT32_MAX);
	ACCEPTS(executor_threads, 64);
	ACCEPTS(executor_queue, 1);
	REFUSES(compute_threads, 1025);
	REFUSES(compute_queue, UINT32_MAX);
	REFUSES(executor_spin_ns, -2);
	REFUSES(executor_spin_ns, noria_sec(1) + 1);
	REFUSES(names_threads, 1025);
	REFUSES(names_queue, UINT32_MAX);
	ACCEPTS(names_threads, 1024);
	ACCEPTS(names_queue, 1);
	ACCEPTS(compute_threads, 1024);
	ACCEPTS(compute_queue, 1);
	ACCEPTS(executor_spin_ns, NORIA_SPIN_NEVER);
}

Test(config, spinning)
{
	REFUSES(spin_max_ns, -1);
	REFUSES(spin_max_ns, noria_msec(1) + 1);
	ACCEPTS(spin_max_ns, noria_msec(1));
	ACCEPTS(spin_max_ns, 1);
}

Test(config, reserved_fields_must_be_zero)
{
	for (size_t i = 0; i < sizeof((struct noria_config *)0)->reserved / sizeof(uint64_t); i++) {
		struct noria_config config = {0};

		config.reserved[i] = 1;
		cr_expect_eq(noria_run(&config, root, NULL), -EINVAL);
		cr_expect_not_null(strstr(noria_message(), "reserved"), "%s", noria_message());
	}
}

Test(config, no_function_is_refused)
{
	cr_expect_eq(noria_run(NULL, NULL, NULL), -EINVAL);
}

Test(config, a_runtime_within_a_runtime_is_refused)
{
	cr_expect_eq(noria_run(NULL, root_in_root, NULL), 0);
}

Test(config, the_result_of_the_root_task_is_the_result_of_the_run)
{
	struct noria_config config = {.on_failure = NULL};

	for (int i = 0; i < 3; i++)
		cr_expect_eq(noria_run(&config, root, NULL), 7);
	cr_expect_str_eq(noria_version(), NORIA_VERSION);
}

static int many(__attribute__((unused)) void *arg)
{
	struct noria_group group;
	int r;

	MUST(noria_group_open(&group) == 0);
	EXPECT_EQ(noria_spawn(&group, root, NULL), 0);
	EXPECT_EQ(noria_spawn(&group, root, NULL), 0);
	r = noria_spawn(&group, root, NULL);
	EXPECT_EQ(r, -EAGAIN);
	EXPECT(strstr(noria_message(), "tasks_max") != NULL);
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	return 0;
}

Test(config, tasks_max_bounds_the_tasks_alive)
{
	struct noria_config config = {.tasks_max = 3};

	cr_expect_eq(noria_run(&config, many, NULL), 0);
}
