/* SPDX-License-Identifier: MIT */
/* What the storm does with failures: hears of them, prints them in too little room, counts them, picks them apart. */
#include "storm.h"

enum { CODES_MAX = 256 };

static unsigned long heard[CODES_MAX];

/* The whole text has one length, however little of it is asked for. */
static void print_in_pieces(const struct noria_failure *failure)
{
	char small[48], large[1024];
	size_t length = noria_failure_print(failure, large, sizeof large);

	CHECK(length > 0);
	CHECK(noria_failure_print(failure, small, sizeof small) == length);
	CHECK(strlen(small) < sizeof small && strncmp(small, large, strlen(small)) == 0);
	CHECK(noria_failure_print(failure, NULL, 0) == length);
	length = noria_failure_json(failure, large, sizeof large);
	CHECK(noria_failure_json(failure, small, sizeof small) == length);
	CHECK(large[0] == '{' && (length >= sizeof large || large[length - 1] == '}'));
}

void storm_hear(const struct noria_failure *failure, const char *text, void *arg)
{
	(void)arg;
	CHECK(failure && text && failure->code < 0 && failure->code > -CODES_MAX && failure->task && failure->spawn);
	if (failure->code == -EDEADLK) {
		fprintf(stderr, "storm: %s\n", text);
		CHECK(failure->code != -EDEADLK);
	}
	heard[-failure->code]++;
}

unsigned long storm_heard(int code)
{
	return heard[-code];
}

void storm_forget_heard(void)
{
	memset(heard, 0, sizeof heard);
}

unsigned storm_count_failures(const struct noria_failure *failure)
{
	unsigned count = 0;

	for (; failure; failure = failure->next) {
		CHECK(!failure->next || failure->time_ns <= failure->next->time_ns);
		count += failure->causes ? storm_count_failures(failure->causes) : failure->causes_lost == 0;
	}
	return count;
}

static void count_one(const struct noria_failure *failure, void *arg)
{
	CHECK(failure->code < 0 && !failure->causes);
	++*(unsigned *)arg;
}

void storm_take_apart(int result, unsigned failures, bool exact)
{
	const struct noria_failure *failure = noria_last_failure();
	unsigned kept, picked = 0;
	int rest;

	CHECK(failure && failure->code == result && failure->causes);
	kept = storm_count_failures(failure->causes);
	if (exact && kept != failures) {
		char text[2000];

		noria_failure_print(failure, text, sizeof text);
		fprintf(stderr, "storm: %u failures, but a tree of %u:\n%s\n", failures, kept, text);
	}
	CHECK(exact ? kept == failures && failure->causes_lost == 0 : kept <= failures);
	if (storm_below(4) == 0)
		print_in_pieces(failure);
	rest = noria_failure_pick(result, -EIO, count_one, &picked);
	CHECK(rest <= 0 && (rest != -EIO || !exact));
	rest = noria_failure_pick(rest, 0, count_one, &picked);
	CHECK(picked == kept && (rest == 0 || !exact));
	if (rest < 0)
		(void)!noria_failure_pick(rest, 0, NULL, NULL);
}
