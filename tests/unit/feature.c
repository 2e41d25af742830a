/* SPDX-License-Identifier: MIT */
/*
 * The table of features and NORIA_HIDE. The probe's answer is kept for the whole process, and Criterion runs each test
 * in a process of its own, so each may set NORIA_HIDE as it likes.
 */
#include "ring/feature.h"

#include "ring/ring.h"
#include "unit.h"

#include <unistd.h>

Test(feature, table_is_complete_and_its_names_are_unique)
{
	for (int i = 0; i < FEATURE_COUNT; i++) {
		const struct feature_info *info = &noria_feature_table[i];

		cr_expect(info->name[0] && info->release[0] && info->use[0] && info->cost[0], "entry %d", i);
		cr_expect_null(strpbrk(info->name, ", "), "%s must fit into NORIA_HIDE", info->name);
		for (int j = 0; j < i; j++)
			cr_expect_str_neq(info->name, noria_feature_table[j].name);
	}
}

Test(feature, nothing_is_hidden_by_default)
{
	struct features features;

	unsetenv("NORIA_HIDE");
	cr_assert_eq(noria_features_probe(&features), 0, "%s", noria_message());
	cr_expect_eq(features.hidden, 0);
	cr_expect(features_has(&features, FEATURE_EXT_ARG));
}

Test(feature, an_empty_list_and_stray_commas_hide_nothing)
{
	struct features features;

	setenv("NORIA_HIDE", ",,", 1);
	cr_assert_eq(noria_features_probe(&features), 0, "%s", noria_message());
	cr_expect_eq(features.hidden, 0);
}

Test(feature, hidden_ones_count_as_absent)
{
	struct features features;
	const uint64_t wanted =
		UINT64_C(1) << FEATURE_RESIZE | UINT64_C(1) << FEATURE_GUARD | UINT64_C(1) << FEATURE_CQE_SKIP;

	setenv("NORIA_HIDE", "resize,guard,,cqe_skip,", 1);
	cr_assert_eq(noria_features_probe(&features), 0, "%s", noria_message());
	cr_expect_eq(features.hidden, wanted);
	cr_expect_not(features_has(&features, FEATURE_RESIZE));
	cr_expect_not(features_has(&features, FEATURE_GUARD));
	cr_expect_not(features_has(&features, FEATURE_CQE_SKIP));
}

Test(feature, hiding_does_not_change_what_is_there)
{
	struct features features;

	setenv("NORIA_HIDE", "all", 1);
	cr_assert_eq(noria_features_probe(&features), 0, "%s", noria_message());
	cr_expect_eq(noria_features_setup_flags(&features), IORING_SETUP_CLAMP | IORING_SETUP_CQSIZE);
	cr_expect(features.there & UINT64_C(1) << FEATURE_EXT_ARG);
}

Test(feature, what_needs_a_hidden_flag_of_the_setup_is_hidden_with_it)
{
	struct features features;

	setenv("NORIA_HIDE", "single_issuer", 1);
	cr_assert_eq(noria_features_probe(&features), 0, "%s", noria_message());
	cr_expect_eq(features.hidden, UINT64_C(1) << FEATURE_SINGLE_ISSUER | UINT64_C(1) << FEATURE_DEFER_TASKRUN);
	cr_expect_not(noria_features_setup_flags(&features) & IORING_SETUP_SINGLE_ISSUER);
}

Test(feature, an_unknown_name_is_refused_and_named)
{
	struct features features;

	setenv("NORIA_HIDE", "resize,sliced_bread", 1);
	cr_expect_eq(noria_features_probe(&features), -EINVAL);
	cr_expect_not_null(strstr(noria_message(), "sliced_bread"), "%s", noria_message());
}

Test(feature, the_beginning_of_a_name_is_not_the_name)
{
	struct features features;

	setenv("NORIA_HIDE", "resiz", 1);
	cr_expect_eq(noria_features_probe(&features), -EINVAL);
	cr_expect_not_null(strstr(noria_message(), "`resiz`"), "%s", noria_message());
}

Test(feature, without_the_required_one_there_is_no_ring_and_a_remedy)
{
	struct features features;

	setenv("NORIA_HIDE", "ext_arg", 1);
	cr_expect_eq(noria_features_probe(&features), -ENOSYS);
	cr_expect_not_null(strstr(noria_message(), "Remedy"), "%s", noria_message());
}

Test(feature, deferred_completions_and_cooperative_ones_exclude_each_other)
{
	struct features features = {.there = UINT64_MAX};
	unsigned flags = noria_features_setup_flags(&features);

	cr_expect(flags & IORING_SETUP_DEFER_TASKRUN);
	cr_expect_not(flags & IORING_SETUP_COOP_TASKRUN);
	features.hidden = UINT64_C(1) << FEATURE_DEFER_TASKRUN;
	flags = noria_features_setup_flags(&features);
	cr_expect_not(flags & IORING_SETUP_DEFER_TASKRUN);
	cr_expect(flags & IORING_SETUP_COOP_TASKRUN);
}

/* Some work of every kind: sleeping, an operation that parks, an offloaded call, a receive stream. */
static int answer(void *arg)
{
	return *(int *)arg;
}

static int send_later(void *arg)
{
	noria_try(noria_sleep(noria_msec(1)));
	EXPECT_EQ(noria_send(*(int *)arg, "hello", 5, 0), 5);
	return 0;
}

static int some_work(__attribute__((unused)) void *arg)
{
	struct noria_recv_stream stream;
	struct noria_group group;
	const void *data;
	char buffer[8];
	int pair[2], n = 42;

	unit_pair(pair);
	EXPECT_EQ(noria_offload(answer, &n), 42);
	EXPECT_EQ(noria_within(noria_msec(2), noria_recv(pair[0], buffer, sizeof buffer, 0)), -ETIMEDOUT);
	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, send_later, &pair[1]) == 0);
	EXPECT_EQ(noria_recv(pair[0], buffer, sizeof buffer, 0), 5);
	MUST(noria_spawn(&group, send_later, &pair[1]) == 0);
	MUST(noria_recv_stream_open(&stream, pair[0]) == 0);
	EXPECT_EQ(noria_recv_stream_next(&stream, &data), 5);
	EXPECT(memcmp(data, "hello", 5) == 0);
	noria_recv_stream_close(&stream);
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	EXPECT_EQ(noria_close(pair[0]) | noria_close(pair[1]), 0);
	return 0;
}

static void work_without(const char *hidden)
{
	setenv("NORIA_HIDE", hidden, 1);
	unit_run_twice(some_work, NULL);
}

/* One test a feature: everything works, if slower, where it is absent. */
#define X(symbol, name, ...) \
	Test(feature, all_works_without_##symbol, .timeout = 20) \
	{ \
		if (FEATURE_##symbol != FEATURE_EXT_ARG) \
			work_without(name); \
	}
FEATURE_TABLE(X)
#undef X

Test(feature, all_works_with_nothing_but_the_required_one, .timeout = 20)
{
	work_without("all");
}
