/* SPDX-License-Identifier: MIT */
/*
 * R14: wherever the runtime asks for memory and gets none, the caller receives -ENOMEM (or -EAGAIN where it was a
 * thread), and the program goes on. Each scenario is run whole once for every allocation it makes, with that one
 * failing, and again with all from there on failing. It must end in success or in that error; every descriptor, every
 * block and every task must be gone afterwards; and the next run, with memory again, must succeed.
 */
#include "memory.h"

#include "rule.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/un.h>
#include <unistd.h>

extern bool noria_checks;

static void hear_nothing(__attribute__((unused)) const struct noria_failure *failure,
			 __attribute__((unused)) const char *text, __attribute__((unused)) void *arg)
{
}

static int run(noria_task_fn *body, const struct noria_config *config)
{
	struct noria_config filled = *config;

	filled.on_failure = hear_nothing;
	noria_checks = false;
	return noria_run(&filled, body, NULL);
}

static void one_run(noria_task_fn *body, const struct noria_config *config, long number, enum memory_mode mode)
{
	int fds = rule_count_fds(), r;
	long live = memory_live();

	memory_begin(number, mode);
	r = run(body, config);
	memory_end();
	cr_expect(r == 0 || (memory_failed() && (r == -ENOMEM || r == -EAGAIN)), "allocation %ld, mode %d: %d (%s)",
		  number, mode, r, noria_message());
	cr_expect_eq(rule_count_fds(), fds, "allocation %ld, mode %d: a descriptor is left", number, mode);
	cr_expect_eq(memory_live(), live, "allocation %ld, mode %d: %ld blocks are left", number, mode,
		     memory_live() - live);
}

static void sweep(noria_task_fn *body, const struct noria_config *config)
{
	long count;

	/* The first run also makes what is made once a process. */
	cr_assert_eq(run(body, config), 0, "%s", noria_message());
	memory_begin(0, MEMORY_ONE);
	cr_assert_eq(run(body, config), 0, "%s", noria_message());
	count = memory_end();
	cr_expect_geq(count, 3, "only %ld allocations: is the program linked as it should be?", count);
	for (long number = 1; number <= count + 2; number++) {
		one_run(body, config, number, MEMORY_ONE);
		one_run(body, config, number, MEMORY_ALL_FROM);
	}
	cr_expect_eq(run(body, config), 0, "%s", noria_message());
}

#define MEMORY(name, config) \
	static int memory_##name(void *arg); \
	Test(R14, name, .timeout = 60) \
	{ \
		sweep(memory_##name, config); \
	} \
	static int memory_##name(__attribute__((unused)) void *arg)

static const struct noria_config defaults, narrow = {.ring_entries = 2, .ring_entries_max = 64};

static int nothing(__attribute__((unused)) void *arg)
{
	return 0;
}

static int fail_with_a_story(__attribute__((unused)) void *arg)
{
	return noria_fail(-ENOMEM, "a message that has to be kept somewhere");
}

static int offload(__attribute__((unused)) void *arg)
{
	return noria_offload(nothing, NULL);
}

MEMORY(the_run_itself, &defaults)
{
	return noria_yield();
}

static int spawn_many(struct noria_group *group)
{
	for (int i = 0; i < 300; i++)
		noria_try(noria_spawn(group, nothing, NULL));
	noria_try(noria_spawn_copy(group, nothing, "argument", 9));
	return noria_spawn_with(group, nothing, NULL, &(struct noria_spawn_options){.stack_size = 256 * 1024});
}

MEMORY(tasks, &defaults)
{
	struct noria_group group;

	return (int)noria_grouped(&group, spawn_many(&group));
}

static int spawn_failing(struct noria_group *group)
{
	for (int i = 0; i < 3; i++)
		noria_try(noria_spawn(group, fail_with_a_story, NULL));
	return 0;
}

MEMORY(failures, &defaults)
{
	struct noria_group group;
	int r = (int)noria_grouped(&group, spawn_failing(&group));

	return r == -ENOMEM ? 0 : -EPROTO;
}

static int count_up(void *arg)
{
	++*(int *)arg;
	return 0;
}

/* A handler that was refused is not run; one that was taken is. */
static int register_some(struct noria_group *group, int *released)
{
	for (int i = 0; i < 3; i++)
		noria_try(noria_group_release(group, count_up, released));
	return 0;
}

MEMORY(release_handlers, &defaults)
{
	struct noria_group group;
	int released = 0, r;

	r = (int)noria_grouped(&group, register_some(&group, &released));
	EXPECT(r < 0 ? released < 3 : released == 3);
	return r;
}

static int collect(struct noria_group *group)
{
	for (int i = 0; i < 5; i++)
		noria_try(noria_spawn(group, nothing, NULL));
	return 0;
}

MEMORY(collected_results, &defaults)
{
	struct noria_group_options options = {.policy = NORIA_COLLECT};
	struct noria_group group;

	return (int)noria_grouped_with(&group, &options, collect(&group));
}

NORIA_KEY_STATIC(first_key, int);
NORIA_KEY_STATIC(second_key, int);

MEMORY(values, &defaults)
{
	noria_try(noria_value_set(&first_key, 1));
	noria_try(noria_value_set(&second_key, 2));
	EXPECT(noria_value_get(&first_key) == 1);
	return noria_with_value(&first_key, 3, noria_yield());
}

MEMORY(promises, &defaults)
{
	struct noria_promise *promise;
	int64_t value = 0;
	int r;

	noria_try(noria_promise_new(NULL, &promise));
	MUST(noria_promise_complete(promise, 7) == 0);
	r = noria_promise_wait(promise, &value);
	noria_promise_unref(promise);
	EXPECT(r < 0 || value == 7);
	return r;
}

static int offload_some(struct noria_group *group)
{
	for (int i = 0; i < 6; i++)
		noria_try(noria_spawn(group, offload, NULL));
	return noria_offload(nothing, NULL);
}

MEMORY(offloaded_calls, &defaults)
{
	struct noria_group group;

	return (int)noria_grouped(&group, offload_some(&group));
}

NORIA_KEY_STATIC(seen_by_call, int);

static void dispose(__attribute__((unused)) int result, __attribute__((unused)) void *arg)
{
}

static int call_executor(struct noria_executor *executor)
{
	struct noria_call_options options = {.dispose = dispose};

	noria_try(noria_value_set(&seen_by_call, 1));
	noria_try(noria_executor_call(executor, nothing, NULL));
	noria_try(noria_compute(nothing, NULL));
	return noria_executor_call_with(executor, nothing, NULL, &options);
}

MEMORY(executors, &defaults)
{
	struct noria_executor *executor;
	int r;

	noria_try(noria_executor_open(&executor, "memory", &(struct noria_executor_options){.threads = 2}));
	r = call_executor(executor);
	noria_executor_unref(executor);
	return r;
}

MEMORY(executors_of_processes, &defaults)
{
	struct noria_workers *workers;
	int r, closed;

	noria_try(noria_workers_open(&workers, "memory", &(struct noria_workers_options){.processes = 1}));
	r = noria_workers_call(workers, nothing, NULL, 0);
	closed = noria_workers_close(workers);
	return r < 0 ? r : closed;
}

static int receive(int fd)
{
	struct noria_recv_stream stream;
	const void *data;
	ssize_t n;

	noria_try(noria_recv_stream_open(&stream, fd));
	n = noria_recv_stream_next(&stream, &data);
	noria_recv_stream_close(&stream);
	return n < 0 ? (int)n : 0;
}

MEMORY(receive_streams, &defaults)
{
	noria_autoclose int here = -1, there = -1;
	int pair[2];

	MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
	here = pair[0];
	there = pair[1];
	noria_try(noria_send_all(there, "bytes", 5, 0));
	return receive(here);
}

enum { CLIENTS = 100 }; /* more at once than an accept stream has room for from the start */

static int take_connections(int fd)
{
	struct noria_accept_stream stream;
	int r;

	noria_try(noria_accept_stream_open(&stream, fd, SOCK_CLOEXEC));
	for (int i = 0; i < CLIENTS; i++) {
		r = noria_accept_stream_next(&stream);
		if (r < 0)
			break;
		MUST(noria_close(r) == 0);
	}
	noria_accept_stream_close(&stream);
	return r < 0 ? r : 0;
}

/* One for which there is no memory is closed: its client sees the end of it. */
MEMORY(accept_streams, &defaults)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	socklen_t length = sizeof address;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), clients[CLIENTS], r;
	char byte;

	MUST(fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address.sun_family) == 0);
	MUST(listen(fd, CLIENTS) == 0 && getsockname(fd, (struct sockaddr *)&address, &length) == 0);
	for (int i = 0; i < CLIENTS; i++) {
		clients[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		MUST(clients[i] >= 0 && connect(clients[i], (struct sockaddr *)&address, length) == 0);
	}
	r = take_connections(fd);
	close(fd);
	for (int i = 0; i < CLIENTS; i++) {
		EXPECT(recv(clients[i], &byte, 1, MSG_DONTWAIT) == 0 || errno == ECONNRESET);
		close(clients[i]);
	}
	return r;
}

MEMORY(datagram_streams, &defaults)
{
	struct noria_datagram_stream stream;
	struct noria_datagram datagram;
	int pair[2], r;

	MUST(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair) == 0);
	MUST(send(pair[1], "x", 1, 0) == 1);
	r = noria_datagram_stream_open(&stream, pair[0], NULL);
	if (r == 0) {
		r = noria_datagram_stream_next(&stream, &datagram, 1);
		noria_datagram_stream_close(&stream);
	}
	close(pair[0]);
	close(pair[1]);
	return r < 0 ? r : 0;
}

static int wait_for_input(void *arg)
{
	return noria_poll(*(int *)arg, POLLIN) < 0 ? -ECANCELED : 0;
}

static int crowd(struct noria_group *group, int *fd)
{
	for (int i = 0; i < 40; i++)
		noria_try(noria_spawn(group, wait_for_input, fd));
	noria_try(noria_yield());
	return (int)noria_write(fd[1], "x", 1);
}

/* More than the queue has room for: the ring wants to grow. */
MEMORY(a_ring_that_grows, &narrow)
{
	noria_autoclose int in = -1, out = -1;
	struct noria_group group;
	int ends[2], r;

	MUST(pipe2(ends, O_CLOEXEC) == 0);
	in = ends[0];
	out = ends[1];
	r = (int)noria_grouped(&group, crowd(&group, (int[]){in, out}));
	return r < 0 ? r : 0;
}

static int list_directory(void)
{
	noria_autodirectory struct noria_directory *directory = NULL;
	struct noria_directory_entry entry;

	noria_try(noria_directory_open(AT_FDCWD, "/proc/self", &directory));
	return noria_directory_next(directory, &entry) < 0 ? -ENOMEM : 0;
}

static int walk_some(void)
{
	noria_autowalk struct noria_walk *walk = NULL;
	struct noria_walk_entry entry;
	int r = 1;

	noria_try(noria_walk_open(AT_FDCWD, "/proc/self/task", NORIA_WALK_STATX, 2, &walk));
	for (int i = 0; i < 20 && r > 0; i++)
		r = noria_walk_next(walk, &entry);
	return r < 0 ? r : 0;
}

MEMORY(directories, &defaults)
{
	noria_try(list_directory());
	return walk_some();
}

MEMORY(pools_of_memory, &defaults)
{
	struct noria_blocks *blocks;
	void *block;

	noria_try(noria_blocks_open(3, 4096, 0, &blocks));
	MUST(noria_block_get(blocks, &block) == 0 && noria_block_put(block) == 0);
	return noria_blocks_close(blocks);
}

static int read_and_replace(int directory)
{
	size_t size;
	void *data;

	noria_try(noria_read_file(AT_FDCWD, "/proc/self/status", 1 << 20, &data, &size));
	free(data);
	return noria_replace_file(directory, "file", "content", 7, 0600);
}

/* Into a directory that is removed afterwards, which says whether something was left in it. */
MEMORY(whole_files, &defaults)
{
	char path[] = "/tmp/noria-memory-XXXXXX";
	noria_autoclose int directory = -1;
	int r;

	MUST(mkdtemp(path));
	directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	MUST(directory >= 0);
	r = read_and_replace(directory);
	MUST(unlinkat(directory, "file", 0) == (r == 0 ? 0 : -1));
	MUST(rmdir(path) == 0);
	return r;
}

MEMORY(watched_files, &defaults)
{
	noria_autoinotify struct noria_inotify *inotify = NULL;

	noria_try(noria_inotify_open(&inotify));
	return noria_inotify_add(inotify, "/tmp", 0x100) < 0 ? -ENOMEM : 0;
}
