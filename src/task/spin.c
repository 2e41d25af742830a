/* SPDX-License-Identifier: MIT */
/*
 * The policy of spin.h. Of a wait there are four kinds: its end was seen by looking; it came late, or only the time was
 * up; it came soon, but no look may be long enough; it came soon, and a longer look may pay.
 *
 * Invariant: 0 <= limit_ns <= max_ns, and a rest only with no limit.
 */
#include "task/spin.h"

#include "base/assert.h"

void noria_spin_init(struct spin *spin, int64_t max_ns)
{
	*spin = (struct spin){.max_ns = max_ns};
}

static void grow(struct spin *spin)
{
	int64_t limit_ns = spin->limit_ns > 0 ? 2 * spin->limit_ns : SPIN_START_NS;

	spin->limit_ns = limit_ns < spin->max_ns ? limit_ns : spin->max_ns;
}

static void shrink(struct spin *spin)
{
	spin->limit_ns /= 2;
	if (spin->limit_ns < SPIN_START_NS)
		spin->limit_ns = 0;
}

static void miss(struct spin *spin)
{
	if (++spin->misses < SPIN_MISSES)
		return;
	spin->misses = 0;
	spin->limit_ns = 0;
	spin->last_rest = spin->last_rest > 0 ? 2 * spin->last_rest : 1;
	if (spin->last_rest > SPIN_REST_MAX)
		spin->last_rest = SPIN_REST_MAX;
	spin->rest = spin->last_rest;
}

void noria_spin_learn(struct spin *spin, int64_t waited_ns, bool came)
{
	if (came && waited_ns <= spin->limit_ns) {
		spin->misses = spin->last_rest = 0;
		if (waited_ns > spin->limit_ns / 2)
			grow(spin); /* the next one may take a little longer */
	} else if (!came || waited_ns > spin->max_ns + SPIN_WAKE_NS) {
		shrink(spin);
	} else if (spin->limit_ns == spin->max_ns) {
		miss(spin);
	} else if (spin->rest > 0) {
		spin->rest--;
	} else {
		grow(spin);
	}
	invariant(spin->limit_ns >= 0 && spin->limit_ns <= spin->max_ns && (spin->rest == 0 || spin->limit_ns == 0));
}
