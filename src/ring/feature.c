/* SPDX-License-Identifier: MIT */
/*
 * The probe. A small ring is made with every flag at once; where the kernel refuses, each flag is tried alone, and what
 * it refuses alone it does not have. Registrations and enter flags are tried with arguments that fail late: a kernel
 * that knows the call looks at its argument (-EFAULT), one that does not answers -EINVAL at once.
 */
#include "ring/feature.h"

#include "base/memcheck.h"
#include "base/message.h"
#include "ring/compat.h"
#include "ring/ring.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>
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

/* What is there if the kernel knows these operations. */
static const struct {
	enum feature feature;
	unsigned first, last;
} operation_table[] = {
	{FEATURE_FD_INSTALL, IORING_OP_FIXED_FD_INSTALL, IORING_OP_FIXED_FD_INSTALL},
	{FEATURE_SEND_ZC, IORING_OP_SEND_ZC, IORING_OP_SEND_ZC},
	{FEATURE_SENDMSG_ZC, IORING_OP_SENDMSG_ZC, IORING_OP_SENDMSG_ZC},
	{FEATURE_BIND_LISTEN, IORING_OP_BIND, IORING_OP_LISTEN},
	{FEATURE_PIPE, RING_OP_PIPE, RING_OP_PIPE},
	{FEATURE_FTRUNCATE, IORING_OP_FTRUNCATE, IORING_OP_FTRUNCATE},
	{FEATURE_XATTR, IORING_OP_FSETXATTR, IORING_OP_GETXATTR},
	{FEATURE_WAITID, IORING_OP_WAITID, IORING_OP_WAITID},
	{FEATURE_FUTEX, IORING_OP_FUTEX_WAIT, IORING_OP_FUTEX_WAITV},
};

enum { SETUP_COUNT = sizeof setup_table / sizeof setup_table[0], PROBE_ENTRIES = 8 };

static uint64_t bit(enum feature feature)
{
	return UINT64_C(1) << feature;
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

static uint64_t probe_setup_flags_one_by_one(void)
{
	uint64_t there = 0;

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

static bool knows_incremental(struct io_uring *uring)
{
	int r;
	struct io_uring_buf_ring *buffers = io_uring_setup_buf_ring(uring, 1, 0, IOU_PBUF_RING_INC, &r);

	if (buffers)
		io_uring_free_buf_ring(uring, buffers, 1, 0);
	return buffers != NULL;
}

static bool knows_direct(struct io_uring *uring)
{
	if (io_uring_register_files_sparse(uring, 1) < 0)
		return false;
	io_uring_unregister_files(uring);
	return true;
}

static bool knows_registered_buffers(struct io_uring *uring)
{
	if (io_uring_register_buffers_sparse(uring, 1) < 0)
		return false;
	io_uring_unregister_buffers(uring);
	return true;
}

/*
 * Submit the entry that `sqe` is, and look: a kernel that knows it waits (-EAGAIN here), or gives the result that it
 * `may` have at once.
 */
static bool waits_or(struct io_uring *uring, int may)
{
	struct io_uring_cqe *cqe;
	bool known;

	if (io_uring_submit_and_get_events(uring) != 1)
		return false;
	if (io_uring_peek_cqe(uring, &cqe) == -EAGAIN)
		return true;
	known = cqe->res == may;
	io_uring_cqe_seen(uring, cqe);
	return known;
}

/* A receive for which there are no buffers misses them (-ENOBUFS). */
static bool knows_recv_multishot(struct io_uring *uring, int socket)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(uring);

	io_uring_prep_recv_multishot(sqe, socket, NULL, 0, 0);
	sqe->flags |= IOSQE_BUFFER_SELECT;
	return waits_or(uring, -ENOBUFS);
}

static bool knows_recvmsg_multishot(struct io_uring *uring, int socket)
{
	static struct msghdr message;
	struct io_uring_sqe *sqe = io_uring_get_sqe(uring);

	io_uring_prep_recvmsg_multishot(sqe, socket, &message, 0);
	sqe->flags |= IOSQE_BUFFER_SELECT;
	return waits_or(uring, -ENOBUFS);
}

/* The size of an int as an option of a socket: a kernel without socket commands refuses (-EOPNOTSUPP, -EINVAL). */
static bool knows_socket_cmd(struct io_uring *uring, int socket)
{
	int type;

	io_uring_prep_cmd_sock(io_uring_get_sqe(uring), SOCKET_URING_OP_GETSOCKOPT, socket, SOL_SOCKET, SO_TYPE, &type,
			       sizeof type);
	return waits_or(uring, sizeof type);
}

/* On a socket that nobody can connect to, for it has no address that anybody knows. */
static bool knows_accept_multishot(struct io_uring *uring)
{
	struct sockaddr_un any = {.sun_family = AF_UNIX};
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool known = false;

	if (listener >= 0 && bind(listener, (struct sockaddr *)&any, sizeof any.sun_family) == 0 &&
	    listen(listener, 1) == 0) {
		io_uring_prep_multishot_accept(io_uring_get_sqe(uring), listener, NULL, NULL, 0);
		known = waits_or(uring, 0);
	}
	if (listener >= 0)
		close(listener);
	return known;
}

static uint64_t probe_operations(struct io_uring *uring)
{
	struct io_uring_probe *probe = io_uring_get_probe_ring(uring);
	uint64_t there = 0;

	for (size_t i = 0; probe && i < sizeof operation_table / sizeof operation_table[0]; i++)
		if (io_uring_opcode_supported(probe, (int)operation_table[i].first) &&
		    io_uring_opcode_supported(probe, (int)operation_table[i].last))
			there |= bit(operation_table[i].feature);
	io_uring_free_probe(probe);
	return there;
}

/* What is tried on sockets. Returns 0, or the negative errno for which that cannot be found out. */
static int probe_sockets(struct io_uring *uring, uint64_t *there)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	*there |= knows_recv_multishot(uring, pair[0]) ? bit(FEATURE_RECV_MULTISHOT) : 0;
	*there |= knows_recvmsg_multishot(uring, pair[0]) ? bit(FEATURE_RECVMSG_MULTISHOT) : 0;
	*there |= knows_socket_cmd(uring, pair[1]) ? bit(FEATURE_SOCKET_CMD) : 0;
	*there |= knows_accept_multishot(uring) ? bit(FEATURE_ACCEPT_MULTISHOT) : 0;
	close(pair[0]);
	close(pair[1]);
	return 0;
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

/* Valgrind does not know this call on oneself. */
static bool knows_guard_many(void)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	char *memory = mmap(NULL, 4 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct iovec two[] = {{memory, page}, {memory + 2 * page, page}};
	bool works;

	if (memory == MAP_FAILED)
		return false;
	works = !RUNNING_ON_VALGRIND &&
		syscall(SYS_process_madvise, PIDFD_SELF_THREAD, two, 2, MADV_GUARD_INSTALL, 0) == (long)(2 * page);
	munmap(memory, 4 * page);
	return works;
}

static int probe_ring(struct io_uring *uring, const struct io_uring_params *params, uint64_t *ret_there)
{
	uint64_t there = probe_operations(uring);
	int r = probe_sockets(uring, &there);

	if (r < 0)
		return r;
	there |= params->features & IORING_FEAT_EXT_ARG ? bit(FEATURE_EXT_ARG) : 0;
	there |= params->features & IORING_FEAT_CQE_SKIP ? bit(FEATURE_CQE_SKIP) : 0;
	there |= params->features & IORING_FEAT_NO_IOWAIT ? bit(FEATURE_NO_IOWAIT) : 0;
	there |= knows_abs_timer(uring->ring_fd) ? bit(FEATURE_ABS_TIMER) : 0;
	there |= knows_register(uring->ring_fd, IORING_REGISTER_RESIZE_RINGS) ? bit(FEATURE_RESIZE) : 0;
	there |= knows_register(-1, RING_REGISTER_SEND_MSG_RING) ? bit(FEATURE_SYNC_MSG) : 0;
	there |= knows_buffer_ring(uring) ? bit(FEATURE_BUFFER_RING) : 0;
	there |= params->features & IORING_FEAT_RECVSEND_BUNDLE ? bit(FEATURE_BUNDLE) : 0;
	there |= knows_incremental(uring) ? bit(FEATURE_INCREMENTAL) : 0;
	there |= knows_direct(uring) ? bit(FEATURE_DIRECT) : 0;
	there |= knows_registered_buffers(uring) ? bit(FEATURE_REGISTERED_BUFFERS) : 0;
	there |= knows_guard() ? bit(FEATURE_GUARD) : 0;
	there |= knows_guard_many() ? bit(FEATURE_GUARD_MANY) : 0;
	if (io_uring_register_ring_fd(uring) == 1) {
		there |= bit(FEATURE_REGISTERED_RING);
		io_uring_unregister_ring_fd(uring);
	}
	*ret_there = there;
	return 0;
}

/* The features that a name of NORIA_HIDE stands for, or 0: one, or with `all` every one that is not required. */
static uint64_t named(const char *name, size_t length)
{
	if (length == 3 && strncmp(name, "all", length) == 0)
		return (bit(FEATURE_COUNT) - 1) & ~bit(FEATURE_EXT_ARG);
	for (int i = 0; i < FEATURE_COUNT; i++)
		if (strlen(noria_feature_table[i].name) == length &&
		    strncmp(noria_feature_table[i].name, name, length) == 0)
			return bit((enum feature)i);
	return 0;
}

/* NORIA_HIDE=resize,sync_msg: features to treat as absent, for tests of the fallbacks. Unknown names are refused. */
static int parse_hidden(uint64_t *ret_hidden)
{
	const char *text = getenv("NORIA_HIDE");

	*ret_hidden = 0;
	while (text && *text) {
		size_t length = strcspn(text, ",");
		uint64_t features = named(text, length);

		if (!features && length > 0)
			return noria_refuse(-EINVAL,
					    "NORIA_HIDE names an unknown feature `%.*s`; `noria doctor` lists them",
					    (int)length, text);
		*ret_hidden |= features;
		text += length + (text[length] == ',');
	}
	return 0;
}

/* A kernel without a set-up flag has none that needs it: a hidden one takes those along. */
static uint64_t with_dependents(uint64_t hidden)
{
	uint64_t all = hidden;

	for (int i = 0; i < SETUP_COUNT; i++)
		for (int j = 0; (hidden & bit(setup_table[i].feature)) && j < SETUP_COUNT; j++)
			if ((setup_table[j].flags & setup_table[i].flags) == setup_table[i].flags)
				all |= bit(setup_table[j].feature);
	return all;
}

/* The least of a few, for others may have the processor in between. */
static unsigned time_call(void)
{
	enum { TRIES = 5, CALLS = 8 };
	int64_t least = INT64_MAX;

	for (int i = 0; i < TRIES; i++) {
		struct timespec from, to;
		int64_t ns;

		clock_gettime(CLOCK_MONOTONIC, &from);
		for (int call = 0; call < CALLS; call++)
			(void)syscall(SYS_getppid);
		clock_gettime(CLOCK_MONOTONIC, &to);
		ns = (to.tv_sec - from.tv_sec) * INT64_C(1000000000) + to.tv_nsec - from.tv_nsec;
		least = ns < least ? ns : least;
	}
	return (unsigned)(least / CALLS);
}

static int probe(struct features *features)
{
	struct features all = {.there = UINT64_MAX};
	struct io_uring uring;
	struct io_uring_params params;
	uint64_t setup = 0;
	int r;

	memset(features, 0, sizeof *features);
	r = parse_hidden(&features->hidden);
	if (r < 0)
		return r;
	features->hidden = with_dependents(features->hidden);
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
	features->call_ns = time_call();
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
