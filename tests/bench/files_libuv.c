/* SPDX-License-Identifier: MIT */
/* The same reads with libuv as it comes: uv_fs_read() on its pool of four threads. */
#include "bench.h"
#include "files.h"

#include <fcntl.h>
#include <stdlib.h>
#include <uv.h>

struct read {
	uv_fs_t request;
	uv_buf_t buffer;
};

static struct files_options options;
static struct files_result result;
static uint64_t end_ns, random_state;
static uv_file file;

static void next(struct read *read);

static void done(uv_fs_t *request)
{
	struct read *read = request->data;

	if (request->result < 0)
		bench_die("uv_fs_read", (int)request->result);
	result.reads += request->result == (ssize_t)options.size;
	uv_fs_req_cleanup(request);
	if (bench_now_ns() < end_ns)
		next(read);
}

static void next(struct read *read)
{
	int r = uv_fs_read(uv_default_loop(), &read->request, file, &read->buffer, 1,
			   files_offset(&options, &random_state), done);

	if (r < 0)
		bench_die("uv_fs_read", r);
}

int main(int argc, char **argv)
{
	struct read *reads;
	uv_fs_t request;

	files_options(&options, argc, argv);
	reads = calloc(options.depth, sizeof *reads);
	file = uv_fs_open(uv_default_loop(), &request, options.path, O_RDONLY | O_DIRECT | O_CLOEXEC, 0, NULL);
	if (!reads || file < 0)
		bench_die("uv_fs_open", file);
	uv_fs_req_cleanup(&request);
	random_state = bench_now_ns();
	files_begin(&result);
	end_ns = bench_now_ns() + options.seconds_ns;
	for (unsigned i = 0; i < options.depth; i++) {
		reads[i].buffer = uv_buf_init(aligned_alloc(4096, options.size), (unsigned)options.size);
		reads[i].request.data = &reads[i];
		if (!reads[i].buffer.base)
			bench_die("memory", UV_ENOMEM);
		next(&reads[i]);
	}
	uv_run(uv_default_loop(), UV_RUN_DEFAULT);
	files_end(&result);
	files_print(&result);
	for (unsigned i = 0; i < options.depth; i++)
		free(reads[i].buffer.base);
	free(reads);
	uv_fs_close(uv_default_loop(), &request, file, NULL);
	uv_fs_req_cleanup(&request);
	return 0;
}
