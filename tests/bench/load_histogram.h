/* SPDX-License-Identifier: MIT */
/*
 * A log-linear histogram of 64-bit values: 64 buckets for each power of two, so a value is known to 1.6 %.
 *
 * Recording is an addition and never allocates; every value has a bucket.
 */
#pragma once

#include <stdint.h>

#define HISTOGRAM_SUB_BITS 6
#define HISTOGRAM_SUBS     (1U << HISTOGRAM_SUB_BITS)
#define HISTOGRAM_BUCKETS  ((64 - HISTOGRAM_SUB_BITS + 1) * HISTOGRAM_SUBS)

struct histogram {
	uint64_t count;
	uint64_t buckets[HISTOGRAM_BUCKETS];
};

static inline void histogram_add(struct histogram *h, uint64_t value)
{
	unsigned int bucket = (unsigned int)value;

	if (value >= HISTOGRAM_SUBS) {
		const unsigned int shift = 63 - (unsigned int)__builtin_clzll(value) - HISTOGRAM_SUB_BITS;

		bucket = (shift + 1) * HISTOGRAM_SUBS + (unsigned int)((value >> shift) & (HISTOGRAM_SUBS - 1));
	}
	h->buckets[bucket]++;
	h->count++;
}

/* The middle of a bucket. */
static inline uint64_t histogram_value(unsigned int bucket)
{
	const unsigned int group = bucket / HISTOGRAM_SUBS;
	const uint64_t sub = bucket % HISTOGRAM_SUBS;

	if (group == 0)
		return sub;
	return ((HISTOGRAM_SUBS + sub) << (group - 1)) + ((1ULL << (group - 1)) >> 1);
}

/* The value that the given share (0 to 1) of all values does not exceed; 0 when there are none. */
static inline uint64_t histogram_quantile(const struct histogram *h, double share)
{
	const uint64_t rank = (uint64_t)((double)h->count * share);
	uint64_t seen = 0;

	for (unsigned int i = 0; i < HISTOGRAM_BUCKETS; i++) {
		seen += h->buckets[i];
		if (seen > rank)
			return histogram_value(i);
	}
	return 0;
}
