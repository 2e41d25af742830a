/* SPDX-License-Identifier: MIT */
/* Select: each kind of case, ready at once and waited for; mixes; who is preferred; cancelling; what is refused. */
#include "channel_tasks.h"

#include <poll.h>
#include <unistd.h>

/* One thing of each kind; none is ready. */
struct things {
	struct noria_channel in, out;
	struct noria_broadcast broadcast;
	struct noria_subscriber subscriber;
	struct noria_promise promise;
	int64_t buffer[1];
	int fd[2];
	int64_t received, sent, heard, promised; /* what the cases read and write */
};

enum { RECV, SEND, SUBSCRIBER, PROMISE, FD, UNTIL, KINDS };

static void things_make(struct things *things)
{
	*things = (struct things){.sent = 77};
	MUST(noria_channel_init(&things->in, sizeof(int64_t), NULL, 0) == 0);
	MUST(noria_channel_init(&things->out, sizeof(int64_t), NULL, 0) == 0);
	MUST(noria_broadcast_init(&things->broadcast, sizeof(int64_t), things->buffer, 1, 0) == 0);
	MUST(noria_broadcast_subscribe(&things->broadcast, &things->subscriber) == 0);
	MUST(noria_promise_init(&things->promise) == 0);
	unit_pair(things->fd);
}

static void cases_make(struct things *things, struct noria_case *cases, int64_t until)
{
	cases[RECV] = noria_case_recv(&things->in, &things->received);
	cases[SEND] = noria_case_send(&things->out, &things->sent);
	cases[SUBSCRIBER] = noria_case_subscriber(&things->subscriber, &things->heard);
	cases[PROMISE] = noria_case_promise(&things->promise, &things->promised);
	cases[FD] = noria_case_fd(things->fd[0], POLLIN);
	cases[UNTIL] = noria_case_until(until);
}

/* Nothing has had an effect but the case `which`; and nobody stands at anything any more. */
static void things_check_and_close(struct things *things, int which)
{
	int64_t item = 1;
	char byte;

	EXPECT_EQ(things->received, which == RECV ? 11 : 0);
	EXPECT_EQ(things->heard, which == SUBSCRIBER ? 12 : 0);
	EXPECT_EQ(things->promised, which == PROMISE ? 13 : 0);
	EXPECT_EQ(noria_channel_tryrecv(&things->out, &item), -EAGAIN);
	EXPECT_EQ(noria_channel_trysend(&things->in, &item), -EAGAIN);
	EXPECT_EQ(noria_broadcast_trysend(&things->broadcast, &item), 0);
	EXPECT_EQ(noria_broadcast_tryrecv(&things->subscriber, &item), 1);
	EXPECT_EQ(noria_channel_destroy(&things->in), 0);
	EXPECT_EQ(noria_channel_destroy(&things->out), 0);
	noria_broadcast_unsubscribe(&things->subscriber);
	EXPECT_EQ(noria_promise_destroy(&things->promise), 0);
	EXPECT_EQ(recv(things->fd[0], &byte, 1, MSG_DONTWAIT), which == FD ? 1 : -1);
	close(things->fd[0]);
	close(things->fd[1]);
}

/* Make a case happen; for those of channels, `actor` is the other side. */
static void happen(struct noria_group *group, struct things *things, struct actor *actor, int which)
{
	int64_t item = 12;

	switch (which) {
	case RECV:
		start(group, actor, call_send, &things->in, 11);
		break;
	case SEND:
		start(group, actor, call_recv, &things->out, 0);
		break;
	case SUBSCRIBER:
		EXPECT_EQ(noria_broadcast_trysend(&things->broadcast, &item), 0);
		break;
	case PROMISE:
		EXPECT_EQ(noria_promise_complete(&things->promise, 13), 0);
		break;
	case FD:
		EXPECT_EQ(write(things->fd[1], "x", 1), 1);
		break;
	default:
		break;
	}
}

/* It has made its exchange with the select. */
static void other_side_ended(struct actor *actor, int which)
{
	if (which != RECV && which != SEND)
		return;
	UNTIL(actor->ended);
	EXPECT_EQ(actor->result, which == RECV ? 0 : 1);
	EXPECT_EQ(actor->item, which == RECV ? 11 : 77);
}

static const int results[KINDS] = {[RECV] = 1, [SUBSCRIBER] = 1, [FD] = POLLIN};

static int ready(struct noria_group *group, int which)
{
	struct things things;
	struct noria_case cases[KINDS];
	struct actor actor = {0};

	things_make(&things);
	cases_make(&things, cases, which == UNTIL ? noria_now() : NORIA_FOREVER);
	happen(group, &things, &actor, which);
	EXPECT_EQ(noria_select(cases, KINDS), which);
	EXPECT_EQ(cases[which].result, results[which]);
	other_side_ended(&actor, which);
	things_check_and_close(&things, which);
	return 0;
}

UNIT(select, what_is_ready_is_chosen)
{
	for (int which = 0; which < KINDS; which++) {
		struct noria_group group = {0};

		MUST(noria_grouped(&group, ready(&group, which)) == 0);
	}
	return 0;
}

static int tried(struct noria_group *group, int which)
{
	struct things things;
	struct noria_case cases[KINDS];
	struct actor actor = {0};

	things_make(&things);
	cases_make(&things, cases, which == UNTIL ? noria_now() : NORIA_FOREVER);
	if (which != UNTIL)
		EXPECT_EQ(noria_select_try(cases, KINDS), -EAGAIN);
	happen(group, &things, &actor, which);
	EXPECT_EQ(noria_select_try(cases, KINDS), which);
	EXPECT_EQ(cases[which].result, results[which]);
	other_side_ended(&actor, which);
	things_check_and_close(&things, which);
	return 0;
}

UNIT(select, trying_does_not_wait)
{
	for (int which = 0; which < KINDS; which++) {
		struct noria_group group = {0};

		MUST(noria_grouped(&group, tried(&group, which)) == 0);
	}
	return 0;
}

struct chooser {
	struct things things;
	struct noria_case cases[KINDS];
	int64_t until;
};

static int call_select(struct actor *actor)
{
	struct chooser *chooser = actor->object;

	cases_make(&chooser->things, chooser->cases, chooser->until);
	return noria_select(chooser->cases, KINDS);
}

static int waited(struct noria_group *group, int which)
{
	struct chooser chooser = {.until = which == UNTIL ? noria_now() + noria_msec(1) : NORIA_FOREVER};
	struct actor actor = {0}, other = {0};

	things_make(&chooser.things);
	start(group, &actor, call_select, &chooser, 0);
	EXPECT_EQ(noria_yield(), 0);
	EXPECT(!actor.ended);
	happen(group, &chooser.things, &other, which);
	UNTIL(actor.ended);
	EXPECT_EQ(actor.result, which);
	EXPECT_EQ(actor.afterward, 0);
	EXPECT_EQ(chooser.cases[which].result, results[which]);
	if (which == UNTIL)
		EXPECT(noria_now() >= chooser.until);
	other_side_ended(&other, which);
	things_check_and_close(&chooser.things, which);
	return 0;
}

UNIT(select, what_happens_first_is_chosen)
{
	for (int which = 0; which < KINDS; which++) {
		struct noria_group group = {0};

		MUST(noria_grouped(&group, waited(&group, which)) == 0);
	}
	return 0;
}

/* R01: whichever of the two comes first, only one of them has happened. */
static int cancelled(struct noria_group *group, int which, bool late)
{
	struct chooser chooser = {.until = NORIA_FOREVER};
	struct actor actor = {0}, other = {0};

	things_make(&chooser.things);
	start(group, &actor, call_select, &chooser, 0);
	if (late)
		happen(group, &chooser.things, &other, which);
	noria_scope_cancel(&actor.scope);
	noria_scope_cancel(&actor.scope);
	UNTIL(actor.ended);
	if (late)
		other_side_ended(&other, which);
	EXPECT_EQ(actor.result, late ? which : -ECANCELED);
	EXPECT_EQ(actor.afterward, -ECANCELED);
	things_check_and_close(&chooser.things, late ? which : -1);
	return 0;
}

UNIT(select, a_cancel_ends_the_wait_and_nothing_has_happened)
{
	struct noria_group group = {0};

	return noria_grouped(&group, cancelled(&group, 0, false));
}

UNIT(select, a_success_that_races_a_cancel_is_delivered)
{
	for (int which = 0; which < FD; which++) {
		struct noria_group group = {0};

		MUST(noria_grouped(&group, cancelled(&group, which, true)) == 0);
	}
	return 0;
}

/* Several happen before the task runs: the first counts, and the others have not lost anything. */
static int several(struct noria_group *group)
{
	struct chooser chooser = {.until = NORIA_FOREVER};
	struct actor actor = {0};
	int64_t item = 11;

	things_make(&chooser.things);
	start(group, &actor, call_select, &chooser, 0);
	EXPECT_EQ(noria_channel_trysend(&chooser.things.in, &item), 0);
	EXPECT_EQ(noria_channel_trysend(&chooser.things.in, &item), -EAGAIN);
	EXPECT_EQ(noria_channel_tryrecv(&chooser.things.out, &item), -EAGAIN);
	UNTIL(actor.ended);
	EXPECT_EQ(actor.result, RECV);
	things_check_and_close(&chooser.things, RECV);
	return 0;
}

UNIT(select, only_one_happens)
{
	struct noria_group group = {0};

	return noria_grouped(&group, several(&group));
}

static int ends(struct noria_group *group)
{
	struct noria_channel in, out;
	int64_t item = 3;
	struct noria_case cases[] = {noria_case_recv(&in, &item), noria_case_until(NORIA_FOREVER)};
	struct noria_case sends[] = {noria_case_send(&out, &item)};

	(void)group;
	MUST(noria_channel_init(&in, sizeof item, NULL, 0) == 0);
	MUST(noria_channel_init(&out, sizeof item, NULL, 0) == 0);
	noria_channel_close(&in);
	noria_channel_close(&out);
	EXPECT_EQ(noria_select(cases, 2), 0);
	EXPECT_EQ(cases[0].result, 0);
	EXPECT_EQ(noria_select(sends, 1), 0);
	EXPECT_EQ(sends[0].result, -EPIPE);
	return 0;
}

UNIT(select, the_end_of_a_channel_is_a_case)
{
	struct noria_group group = {0};

	return noria_grouped(&group, ends(&group));
}

static int close_while_waiting(struct noria_group *group)
{
	struct chooser chooser = {.until = NORIA_FOREVER};
	struct actor actor = {0};

	things_make(&chooser.things);
	start(group, &actor, call_select, &chooser, 0);
	noria_channel_close(&chooser.things.out);
	UNTIL(actor.ended);
	EXPECT_EQ(actor.result, SEND);
	EXPECT_EQ(chooser.cases[SEND].result, -EPIPE);
	close(chooser.things.fd[0]);
	close(chooser.things.fd[1]);
	return noria_promise_destroy(&chooser.things.promise);
}

UNIT(select, closing_a_channel_wakes_a_select)
{
	struct noria_group group = {0};

	return noria_grouped(&group, close_while_waiting(&group));
}

/* Two selects that send and receive on one channel meet each other, and neither meets itself. */
static int call_both(struct actor *actor)
{
	int64_t received = -1;
	struct noria_case cases[] = {noria_case_send(actor->object, &actor->item),
				     noria_case_recv(actor->object, &received)};
	int which = noria_select(cases, 2);

	if (which == 1)
		actor->item = received;
	return which;
}

static int both_sides(struct noria_group *group)
{
	struct noria_channel channel;
	struct actor first = {0}, second = {0};

	MUST(noria_channel_init(&channel, sizeof(int64_t), NULL, 0) == 0);
	start(group, &first, call_both, &channel, 1);
	EXPECT_EQ(noria_yield(), 0);
	EXPECT(!first.ended);
	start(group, &second, call_both, &channel, 2);
	UNTIL(first.ended && second.ended);
	EXPECT_EQ(first.result + second.result, 1);
	EXPECT_EQ(first.item, first.result == 1 ? 2 : 1);
	EXPECT_EQ(second.item, second.result == 1 ? 1 : 2);
	return noria_channel_destroy(&channel);
}

UNIT(select, two_selects_meet)
{
	struct noria_group group = {0};

	return noria_grouped(&group, both_sides(&group));
}

/* Whatever is always ready: nobody is starved, not even by a rhythm of two selects that take turns. */
UNIT(select, several_that_are_ready_take_turns)
{
	enum { ROUNDS = 400 };
	struct noria_channel channels[2];
	int64_t buffers[2][1], item = 0;
	int counts[2][4] = {0};
	int fd[2];

	unit_pair(fd);
	MUST(write(fd[1], "x", 1) == 1);
	for (int i = 0; i < 2; i++)
		MUST(noria_channel_init(&channels[i], sizeof item, buffers[i], 1) == 0);
	for (int round = 0; round < 2 * ROUNDS; round++) {
		struct noria_case cases[] = {noria_case_recv(&channels[0], &item), noria_case_recv(&channels[1], &item),
					     noria_case_fd(fd[0], POLLIN), noria_case_until(0)};
		int which;

		for (int i = 0; i < 2; i++)
			if (noria_channel_count(&channels[i]) == 0)
				EXPECT_EQ(noria_channel_send(&channels[i], &item), 0);
		which = noria_select(cases, 4);
		MUST(which >= 0);
		counts[round % 2][which]++;
	}
	for (int i = 0; i < 4; i++)
		EXPECT(counts[0][i] > ROUNDS / 8 && counts[1][i] > ROUNDS / 8);
	close(fd[0]);
	close(fd[1]);
	return 0;
}

static int see(void *arg)
{
	*(bool *)arg = true;
	return 0;
}

/* Wherever they stand: neighbours, behind ones that cannot, and for each number of able ones. */
UNIT(select, of_several_that_can_each_is_equally_likely)
{
	enum { CASES = 10, ROUNDS = 2000 };
	static const unsigned able[] = {0x003, 0x007, 0x205, 0x3e0, 0x3ff, 0x111};
	struct noria_case cases[CASES];

	for (size_t k = 0; k < sizeof able / sizeof able[0]; k++) {
		struct noria_event events[CASES] = {0};
		int counts[CASES] = {0}, number = __builtin_popcount(able[k]);

		for (int i = 0; i < CASES; i++) {
			if (able[k] >> i & 1)
				EXPECT_EQ(noria_event_set(&events[i]), 0);
			cases[i] = noria_case_event(&events[i]);
		}
		for (int round = 0; round < ROUNDS; round++) {
			int which = noria_select(cases, CASES);

			MUST(which >= 0);
			counts[which]++;
		}
		for (int i = 0; i < CASES; i++)
			if (able[k] >> i & 1)
				EXPECT(abs(counts[i] - ROUNDS / number) < ROUNDS / number / 4);
			else
				EXPECT_EQ(counts[i], 0);
	}
	return 0;
}

/* Misuse does not depend on which case is tried first. */
UNIT(select, a_case_that_refuses_is_always_noticed)
{
	struct noria_channel channel = {0};
	int64_t item;

	for (int i = 0; i < 100; i++) {
		struct noria_case cases[] = {noria_case_until(0), noria_case_recv(&channel, &item)};

		EXPECT_EQ(noria_select(cases, 2), -EINVAL);
		EXPECT_EQ(noria_select_try(cases, 2), -EINVAL);
	}
	return 0;
}

static int busy(struct noria_group *group)
{
	struct noria_case cases[] = {noria_case_until(0)};
	bool seen = false;

	MUST(noria_spawn(group, see, &seen) == 0);
	for (int i = 0; i < 10000 && !seen; i++)
		EXPECT_EQ(noria_select(cases, 1), 0);
	EXPECT(seen);
	return 0;
}

/* R15 */
UNIT(select, a_task_that_never_waits_starves_nobody)
{
	struct noria_group group = {0};

	return noria_grouped(&group, busy(&group));
}

UNIT(select, a_time_limit_ends_the_wait)
{
	struct things things;
	struct noria_case cases[KINDS];

	things_make(&things);
	cases_make(&things, cases, NORIA_FOREVER);
	EXPECT_EQ(noria_within(noria_msec(1), noria_select(cases, KINDS)), -ETIMEDOUT);
	/* The same cases again. */
	EXPECT_EQ(noria_within(noria_msec(1), noria_select(cases, KINDS)), -ETIMEDOUT);
	things_check_and_close(&things, -1);
	return 0;
}

UNIT(select, a_cancelled_scope_selects_nothing)
{
	struct noria_scope scope = {0};
	struct noria_case cases[] = {noria_case_until(0)};

	MUST(noria_scope_open(&scope, NORIA_FOREVER, 0) == 0);
	noria_scope_cancel(&scope);
	EXPECT_EQ(noria_select(cases, 1), -ECANCELED);
	EXPECT_EQ(noria_select_try(cases, 1), 0);
	return (int)noria_scope_close(&scope, 0);
}

UNIT(select, misuse_is_refused)
{
	struct noria_channel channel = {0};
	struct noria_subscriber subscriber = {0};
	struct noria_promise promise = {0};
	int64_t item = 0;
	struct noria_case made_by_nobody[] = {{0}};
	struct noria_case cases[] = {noria_case_recv(&channel, &item), noria_case_send(&channel, &item),
				     noria_case_subscriber(&subscriber, &item), noria_case_promise(&promise, &item)};

	EXPECT_EQ(noria_select(cases, 0), -EINVAL);
	EXPECT_EQ(noria_select(made_by_nobody, 1), -EINVAL);
	made_by_nobody[0].kind = 1000;
	EXPECT_EQ(noria_select_try(made_by_nobody, 1), -EINVAL);
	for (int i = 0; i < 4; i++) {
		EXPECT_EQ(noria_select(&cases[i], 1), -EINVAL);
		EXPECT_EQ(noria_select_try(&cases[i], 1), -EINVAL);
	}
	return 0;
}

Test(select, outside_a_runtime_it_is_refused, .timeout = 100)
{
	struct noria_case cases[] = {noria_case_until(0)};

	EXPECT_EQ(noria_select(cases, 1), -ENXIO);
	EXPECT_EQ(noria_select_try(cases, 1), -ENXIO);
}

static int describe(struct noria_group *group)
{
	struct chooser chooser = {.until = 5 + noria_now() + noria_sec(100)};
	struct actor actor = {0};
	char text[400], wanted[60];
	struct {
		char text[30], beyond[300];
	} small = {0};

	things_make(&chooser.things);
	start(group, &actor, call_select, &chooser, 0);
	waits_for(text, sizeof text);
	EXPECT(strstr(text, "selects among 6: receive from the channel of "));
	EXPECT(strstr(text, ", send to the channel of "));
	EXPECT(strstr(text, ", receive from the broadcast of "));
	EXPECT(strstr(text, ", promise of "));
	snprintf(wanted, sizeof wanted, ", descriptor %d, until %lld ns", chooser.things.fd[0],
		 (long long)chooser.until);
	EXPECT(strstr(text, wanted));
	EXPECT_EQ(strlen(waits_for(small.text, sizeof small.text)), sizeof small.text - 1);
	for (size_t i = 0; i < sizeof small.beyond; i++)
		EXPECT(small.beyond[i] == 0);
	noria_scope_cancel(&actor.scope);
	UNTIL(actor.ended);
	things_check_and_close(&chooser.things, -1);
	return 0;
}

UNIT(select, a_wait_says_what_it_is)
{
	struct noria_group group = {0};

	return noria_grouped(&group, describe(&group));
}
