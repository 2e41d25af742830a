/* SPDX-License-Identifier: MIT */
/*
 * The probe. A small ring is made with every flag at once; where the kernel refuses, each flag is tried alone, and what
 * it refuses alone it does not have. Registrations and enter flags are tried with arguments that fail late: a kernel
 * that knows the call looks at its argument (-EFAULT), one that does not answers -EINVAL at once.
 */
#include "ring/feature.h"

#include "base/message.h"
#include "ring/compat.h"
#include "ring/ring.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

const struct feature_info noria_feature_table[FEATURE_COUNT] = {
#define X(symbol, name, release, use, cost) {name, release, use, cost},
	FEATURE_TABLE(X)
#undef X
};

static const struct {
	enum feature feature;
	unsigned flags;
} setup_table[] = {
	{FEATURE_SUBMIT_ALL, IORING_SETUP_SUBMIT_ALL},
	{FEATURE_SINGLE_ISSUER, IORING_SETUP_SINGLE_ISSUER},
	{FEATURE_DEFER_TASKRUN, IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SINGLE_ISSUER},
	{FEATURE_TASKRUN_FLAG, IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_COOP_TASKRUN},
	{FEATURE_NO_SQARRAY, IORING_SETUP_NO_SQARRAY},
};

enum { SETUP_COUNT = sizeof setup_table / sizeof setup_table[0], PROBE_ENTRIES = 8 };

static uint32_t bit(enum feature feature)
{
	return UINT32_C(1) << feature;
}

unsigned noria_features_setup_flags(const struct features *features)
{
	unsigned flags = IORING_SETUP_CLAMP | IORING_SETUP_CQSIZE;

	for (int i = 0; i < SETUP_COUNT; i++)
		if (features_has(features, setup_table[i].feature))
			flags |= setup_table[i].flags;
	/* TASKRUN_FLAG wants one of COOP_TASKRUN and DEFER_TASKRUN; the second is the better one. */
	if (flags & IORING_SETUP_DEFER_TASKRUN)
		flags &= ~(unsigned)IORING_SETUP_COOP_TASKRUN;
	return flags;
}

static int try_setup(unsigned flags, struct io_uring *uring, struct io_uring_params *params)
{
	int r;

	memset(params, 0, sizeof *params);
	params->flags = flags;
	params->cq_entries = PROBE_ENTRIES * 4;
	r = io_uring_queue_init_params(PROBE_ENTRIES, uring, params);
	ring_mapped();
	return r;
}

/* -ENOMEM may mean that the memory of a ring closed just now is still charged to the user: give it time. */
static int setup_patiently(unsigned flags, struct io_uring *uring, struct io_uring_params *params)
{
	int r = try_setup(flags, uring, params);

	for (int i = 0; i < RING_MEMORY_RETRIES && r == -ENOMEM; i++) {
		ring_memory_pause();
		r = try_setup(flags, uring, params);
	}
	return r;
}

static uint32_t probe_setup_flags_one_by_one(void)
{
	uint32_t there = 0;

	for (int i = 0; i < SETUP_COUNT; i++) {
		struct io_uring uring;
		struct io_uring_params params;

		if (setup_patiently(setup_table[i].flags | IORING_SETUP_CLAMP | IORING_SETUP_CQSIZE, &uring, &params) <
		    0)
			continue;
		there |= bit(setup_table[i].feature);
		ring_unmapping();
		io_uring_queue_exit(&uring);
	}
	return there;
}

/* Does the kernel know this registration? One that it knows reads its argument before anything else. */
static bool knows_register(int fd, unsigned opcode)
{
	return io_uring_register((unsigned)fd, opcode, (void *)1, 1) == -EFAULT;
}

static bool knows_abs_timer(int fd)
{
	struct io_uring_getevents_arg arg = {0};

	return io_uring_enter2((unsigned)fd, 0, 0,
			       IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG | IORING_ENTER_ABS_TIMER, (sigset_t *)&arg,
			       sizeof arg) >= 0;
}

static bool knows_buffer_ring(struct io_uring *uring)
{
	int r;
	struct io_uring_buf_ring *buffers = io_uring_setup_buf_ring(uring, 1, 0, 0, &r);

	if (buffers)
		io_uring_free_buf_ring(uring, buffers, 1, 0);
	return buffers != NULL;
}

/*
 * A multishot receive for which there are no buffers: a kernel that has it waits, or misses the buffers (-ENOBUFS).
 * Returns 1, 0, or a negative errno where that cannot be found out.
 */
static int knows_recv_multishot(struct io_uring *uring)
{
	struct io_uring_cqe *cqe;
	struct io_uring_sqe *sqe = io_uring_get_sqe(uring);
	int pair[2];
	bool known;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	io_uring_prep_recv_multishot(sqe, pair[0], NULL, 0, 0);
	sqe->flags |= IOSQE_BUFFER_SELECT;
	known = io_uring_submit_and_get_events(uring) == 1 &&
		(io_uring_peek_cqe(uring, &cqe) == -EAGAIN || cqe->res == -ENOBUFS);
	close(pair[0]);
	close(pair[1]);
	return known;
}

static bool knows_guard(void)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	void *memory = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	bool works;

	if (memory == MAP_FAILED)
		return false;
	works = madvise(memory, page, MADV_GUARD_INSTALL) == 0;
	munmap(memory, page);
	return works;
}

static int probe_ring(struct io_uring *uring, const struct io_uring_params *params, uint32_t *ret_there)
{
	int multishot = knows_recv_multishot(uring);
	uint32_t there = 0;

	if (multishot < 0)
		return multishot;

	there |= params->features & IORING_FEAT_EXT_ARG ? bit(FEATURE_EXT_ARG) : 0;
	there |= params->features & IORING_FEAT_CQE_SKIP ? bit(FEATURE_CQE_SKIP) : 0;
	there |= params->features & IORING_FEAT_NO_IOWAIT ? bit(FEATURE_NO_IOWAIT) : 0;
	there |= knows_abs_timer(uring->ring_fd) ? bit(FEATURE_ABS_TIMER) : 0;
	there |= knows_register(uring->ring_fd, IORING_REGISTER_RESIZE_RINGS) ? bit(FEATURE_RESIZE) : 0;
	there |= knows_register(-1, RING_REGISTER_SEND_MSG_RING) ? bit(FEATURE_SYNC_MSG) : 0;
	there |= knows_buffer_ring(uring) ? bit(FEATURE_BUFFER_RING) : 0;
	there |= multishot ? bit(FEATURE_RECV_MULTISHOT) : 0;
	there |= knows_guard() ? bit(FEATURE_GUARD) : 0;
	if (io_uring_register_ring_fd(uring) == 1) {
		there |= bit(FEATURE_REGISTERED_RING);
		io_uring_unregister_ring_fd(uring);
	}
	*ret_there = there;
	return 0;
}

/* NORIA_HIDE=resize,sync_msg: features to treat as absent, for tests of the fallbacks. Unknown names are refused. */
static int parse_hidden(uint32_t *ret_hidden)
{
	const char *text = getenv("NORIA_HIDE");

	*ret_hidden = 0;
	while (text && *text) {
		size_t length = strcspn(text, ",");
		int i = 0;

		while (i < FEATURE_COUNT && (strlen(noria_feature_table[i].name) != length ||
					     strncmp(noria_feature_table[i].name, text, length) != 0))
			i++;
		if (i == FEATURE_COUNT && length > 0)
			return noria_refuse(-EINVAL,
					    "NORIA_HIDE names an unknown feature `%.*s`; `noria doctor` lists them",
					    (int)length, text);
		if (length > 0)
			*ret_hidden |= bit((enum feature)i);
		text += length + (text[length] == ',');
	}
	return 0;
}

static int probe(struct features *features)
{
	struct features all = {.there = UINT32_MAX};
	struct io_uring uring;
	struct io_uring_params params;
	uint32_t setup = 0;
	int r;

	memset(features, 0, sizeof *features);
	r = parse_hidden(&features->hidden);
	if (r < 0)
		return r;
	for (int i = 0; i < SETUP_COUNT; i++)
		setup |= bit(setup_table[i].feature);
	r = setup_patiently(noria_features_setup_flags(&all), &uring, &params);
	if (r == -EINVAL) {
		setup = probe_setup_flags_one_by_one();
		features->there = setup;
		r = setup_patiently(noria_features_setup_flags(features), &uring, &params);
	}
	if (r < 0)
		return noria_ring_explain(r, PROBE_ENTRIES);
	r = probe_ring(&uring, &params, &features->there);
	ring_unmapping();
	io_uring_queue_exit(&uring);
	if (r < 0)
		return noria_ring_explain(r, PROBE_ENTRIES);
	features->there |= setup;
	if (!features_has(features, FEATURE_EXT_ARG))
		return noria_ring_explain(-ENOSYS, PROBE_ENTRIES);
	return 0;
}

int noria_features_probe(struct features *ret_features)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	static struct features found;
	static bool known;
	int r = 0;

	pthread_mutex_lock(&lock);
	if (!known) {
		r = probe(&found);
		known = r == 0;
	}
	*ret_features = found;
	pthread_mutex_unlock(&lock);
	return r;
}
