/* SPDX-License-Identifier: MIT */
/*
 * A test as somebody outside the project would write it, with the library for tests (noria-test.pc): half an hour of a
 * world, twice from one seed. Prints the library's version, as talk.c does.
 */
#include <errno.h>
#include <noria/noria.h>
#include <noria/test.h>
#include <stdio.h>
#include <string.h>

static int doze(void *arg)
{
	uint64_t *drawn = arg;
	int64_t before_ns = noria_now();

	noria_try(noria_sleep(noria_sec(1800)));
	if (!noria_sim_here() || noria_now() - before_ns < noria_sec(1800))
		return noria_fail(-EPROTO, "this is no world");
	*drawn = noria_sim_random(UINT64_MAX);
	return 0;
}

int main(void)
{
	struct noria_sim_options options = {.seed = 7};
	uint64_t drawn[2] = {0, 1};

	for (int i = 0; i < 2; i++) {
		int result = noria_sim_run(&options, doze, &drawn[i]);

		if (result < 0) {
			fprintf(stderr, "simulate: %s: %s\n", strerror(-result), noria_sim_last_report()->what);
			return 1;
		}
	}
	if (drawn[0] != drawn[1]) {
		fprintf(stderr, "simulate: one seed makes two draws\n");
		return 1;
	}
	puts(noria_version());
	return 0;
}
