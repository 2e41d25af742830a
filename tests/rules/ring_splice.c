/* SPDX-License-Identifier: MIT */
/*
 * Splice is the operation that a worker thread of the kernel carries out, so that it can be interrupted in ways in which
 * others are not, and the one that has two descriptors.
 */
#include "ring_inside.h"

#include <fcntl.h>

struct splicer {
	int from, to;
	ssize_t result;
	bool started;
};

static int splice_all(void *arg)
{
	struct splicer *splicer = arg;

	splicer->started = true;
	splicer->result = noria_splice_all(splicer->from, NULL, splicer->to, NULL, 10, 0);
	return 0;
}

static void pipes(int a[2], int b[2], int flags)
{
	MUST(pipe2(a, O_CLOEXEC | flags) == 0 && pipe2(b, O_CLOEXEC | flags) == 0);
}

static void start(struct noria_group *group, struct splicer *splicer)
{
	MUST(noria_group_open(group) == 0);
	MUST(noria_spawn(group, splice_all, splicer) == 0);
	UNTIL(splicer->started);
	MUST(noria_sleep(noria_msec(2)) == 0); /* likely it is blocked in its worker now; the rule holds if not */
}

/* R08: pipes with O_NONBLOCK: -EAGAIN is waited for, on the side that is not ready. */
RULE(R08, a_splice_waits_for_the_side_that_is_not_ready)
{
	struct noria_group group = {0};
	struct splicer splicer;
	uint64_t before;
	int a[2], b[2];

	pipes(a, b, O_NONBLOCK);
	splicer = (struct splicer){.from = a[0], .to = b[1]};
	start(&group, &splicer);
	before = noria_loop->generation;
	MUST(noria_sleep(noria_msec(5)) == 0);
	EXPECT(noria_loop->generation - before < 20); /* it waits; it does not try again and again */
	MUST(write(a[1], "01234", 5) == 5);
	MUST(noria_sleep(noria_msec(2)) == 0);
	MUST(write(a[1], "56789", 5) == 5);
	EXPECT(noria_within(noria_sec(5), ({
				    while (!splicer.result)
					    if (noria_sleep(noria_msec(1)) < 0)
						    break;
				    (ssize_t)0;
			    })) == 0);
	noria_group_cancel(&group);
	MUST(noria_group_close(&group, 0) == 0);
	EXPECT(splicer.result == 10);
	for (int i = 0; i < 2; i++)
		close(a[i]), close(b[i]);
	return 0;
}

/* R10: closing either descriptor of a splice ends it. */
RULE(R10, closing_either_side_ends_a_splice)
{
	for (int side = 0; side < 2; side++) {
		struct noria_group group = {0};
		struct splicer splicer;
		int a[2], b[2];

		pipes(a, b, 0);
		splicer = (struct splicer){.from = a[0], .to = b[1]};
		start(&group, &splicer);
		EXPECT(noria_close(side ? b[1] : a[0]) == 0);
		EXPECT(noria_within(noria_sec(5), ({
					    while (!splicer.result)
						    if (noria_sleep(noria_msec(1)) < 0)
							    break;
					    (ssize_t)0;
				    })) == 0);
		noria_group_cancel(&group);
		MUST(noria_group_close(&group, 0) == 0);
		EXPECT(splicer.result == -EBADF || splicer.result == -ECANCELED);
		close(a[1]), close(b[0]), close(side ? a[0] : b[1]);
	}
	return 0;
}
