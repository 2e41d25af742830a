/* SPDX-License-Identifier: MIT */
/*
 * Random reads with noria, as a program would do them: a task for each read under way, that reads again and again, into
 * memory of its own (`plain`) or into a block (`registered`). One line of JSON at the end: reads, seconds, CPU time. The
 * other programs that ./compare_files runs print the same.
 */
#include "bench.h"
#include "files.h"

#include <errno.h>
#include <fcntl.h>
#include <noria/noria.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct load {
	struct files_options options;
	struct files_result result;
	struct noria_blocks *blocks; /* NULL: plain */
	int fd;
	uint64_t end_ns, random;
};

static int read_into(struct load *load, void *buffer)
{
	const struct files_options *options = &load->options;
	ssize_t n = 0;

	while (n >= 0 && bench_now_ns() < load->end_ns) {
		n = noria_pread(load->fd, buffer, options->size, files_offset(options, &load->random));
		load->result.reads += n == (ssize_t)options->size;
	}
	return n < 0 ? (int)n : 0;
}

static int reader(void *arg)
{
	struct load *load = arg;
	void *buffer;
	int r;

	if (load->blocks) {
		noria_autoblock void *block = NULL;

		noria_try(noria_block_get(load->blocks, &block));
		return read_into(load, block);
	}
	buffer = aligned_alloc(4096, load->options.size);
	r = buffer ? read_into(load, buffer) : -ENOMEM;
	free(buffer);
	return r;
}

static int open_blocks(struct load *load)
{
	int r;

	if (strcmp(load->options.mode, "registered") != 0)
		return 0;
	noria_try(noria_blocks_open(load->options.depth, load->options.size, 0, &load->blocks));
	r = noria_blocks_registered(load->blocks);
	return r < 0 ? noria_fail(r, "the blocks are not registered") : 0;
}

static int run(void *arg)
{
	struct load *load = arg;
	struct noria_group group;

	load->fd = noria_try(noria_openat(AT_FDCWD, load->options.path, O_RDONLY | O_DIRECT | O_CLOEXEC, 0));
	noria_try(open_blocks(load));
	files_begin(&load->result);
	load->end_ns = bench_now_ns() + load->options.seconds_ns;
	noria_try(noria_group_open(&group));
	for (unsigned i = 0; i < load->options.depth; i++)
		noria_try(noria_spawn(&group, reader, load));
	noria_try(noria_group_close(&group, 0));
	files_end(&load->result);
	noria_try(noria_blocks_close(load->blocks));
	return noria_close(load->fd);
}

int main(int argc, char **argv)
{
	struct load load = {.random = bench_now_ns()};
	int r;

	files_options(&load.options, argc, argv);
	r = noria_run(NULL, run, &load);
	if (r < 0)
		bench_die(noria_message(), r);
	files_print(&load.result);
	return 0;
}
