/* SPDX-License-Identifier: MIT */
/* The same files with libuv as it comes: its pool of four threads, a call after the other. See files_small.h. */
#include "files_small.h"

#include <fcntl.h>
#include <stdlib.h>
#include <uv.h>

struct reader {
	uv_fs_t request;
	uv_file file;
	uint64_t size;
	char content[SMALL_SIZE];
};

static struct small_options options;
static struct files_result result;
static uint64_t next_file, end_ns;

static void begin(struct reader *reader);

/* The result of what has ended; the request is free again. */
static ssize_t take(uv_fs_t *request, const char *what)
{
	ssize_t r = request->result;

	if (r < 0)
		bench_die(what, (int)r);
	uv_fs_req_cleanup(request);
	return r;
}

static void must(const char *what, int r)
{
	if (r < 0)
		bench_die(what, r);
}

static void closed(uv_fs_t *request)
{
	take(request, "uv_fs_close");
	result.reads++;
	begin(request->data);
}

static void have_read(uv_fs_t *request)
{
	struct reader *reader = request->data;

	if ((uint64_t)take(request, "uv_fs_read") != reader->size)
		bench_die("a short read", UV_EIO);
	must("uv_fs_close", uv_fs_close(uv_default_loop(), request, reader->file, closed));
}

static void have_size(uv_fs_t *request)
{
	struct reader *reader = request->data;
	uv_buf_t buffer = uv_buf_init(reader->content, SMALL_SIZE);

	reader->size = request->statbuf.st_size;
	take(request, "uv_fs_fstat");
	must("uv_fs_read", uv_fs_read(uv_default_loop(), request, reader->file, &buffer, 1, 0, have_read));
}

static void opened(uv_fs_t *request)
{
	struct reader *reader = request->data;

	reader->file = (uv_file)take(request, "uv_fs_open");
	must("uv_fs_fstat", uv_fs_fstat(uv_default_loop(), request, reader->file, have_size));
}

static void begin(struct reader *reader)
{
	char path[SMALL_PATH_SIZE];

	if (bench_now_ns() >= end_ns)
		return;
	small_path(&options, next_file++, path);
	must("uv_fs_open", uv_fs_open(uv_default_loop(), &reader->request, path, O_RDONLY | O_CLOEXEC, 0, opened));
}

int main(int argc, char **argv)
{
	struct reader *readers;

	small_parse(&options, argc, argv);
	readers = calloc(options.depth, sizeof *readers);
	if (!readers)
		bench_die("memory", UV_ENOMEM);
	files_begin(&result);
	end_ns = bench_now_ns() + options.ns;
	for (unsigned i = 0; i < options.depth; i++) {
		readers[i].request.data = &readers[i];
		begin(&readers[i]);
	}
	uv_run(uv_default_loop(), UV_RUN_DEFAULT);
	files_end(&result);
	files_print(&result);
	free(readers);
	return 0;
}
