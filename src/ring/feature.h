/* SPDX-License-Identifier: MIT */
/*
 * What this kernel's io_uring can do. The table is the single truth: the probe, `NORIA_HIDE` and `noria doctor` are all
 * made from it. Features are probed by trying them; kernel versions are never compared (the release named in the table
 * is for people).
 */
#ifndef NORIA_RING_FEATURE_H
#define NORIA_RING_FEATURE_H

#include <stdbool.h>
#include <stdint.h>

/* X(symbol, name, release, what is done with it, what its absence costs) */
#define FEATURE_TABLE(X) \
	X(EXT_ARG, "ext_arg", "5.11", "one system call submits and waits with a time limit", \
	  "required: no ring without it") \
	X(CQE_SKIP, "cqe_skip", "5.17", "no completion for cancels and timeouts that worked", \
	  "an extra completion for each") \
	X(SUBMIT_ALL, "submit_all", "5.18", "a bad entry does not stop the rest of a submission", \
	  "some turns enter twice") \
	X(SINGLE_ISSUER, "single_issuer", "6.0", "the kernel skips locks for a one-thread ring", \
	  "locking on each submission") \
	X(DEFER_TASKRUN, "defer_taskrun", "6.1", "completions are produced only when the loop asks", \
	  "interrupts of the running task") \
	X(TASKRUN_FLAG, "taskrun_flag", "5.19", "a busy loop sees without a call that completions wait", \
	  "a system call each turn") \
	X(NO_SQARRAY, "no_sqarray", "6.6", "submission without the index array", "a cache line a submission") \
	X(REGISTERED_RING, "registered_ring", "5.18", "enter without a lookup of the ring's descriptor", \
	  "some 10 ns a system call") \
	X(ABS_TIMER, "abs_timer", "6.12", "the wait takes a point in time", "the time left is computed each turn") \
	X(NO_IOWAIT, "no_iowait", "6.15", "an idle ring is idle, not waiting for I/O", \
	  "an idle loop shows as 100 % iowait") \
	X(RESIZE, "resize", "6.13", "the ring begins small and grows under load", "bursts take several submissions") \
	X(SYNC_MSG, "sync_msg", "6.13", "other threads wake the loop by a message to its ring", \
	  "an eventfd a loop, 20 us a wake-up") \
	X(BUFFER_RING, "buffer_ring", "5.19", "buffers are chosen by the kernel when bytes arrive", \
	  "receive streams poll before each receive") \
	X(RECV_MULTISHOT, "recv_multishot", "6.0", "one submission for many receives", \
	  "a submission for each receive") \
	X(BUNDLE, "bundle", "6.10", "one completion for several buffers of received bytes", \
	  "a completion for each buffer") \
	X(INCREMENTAL, "incremental", "6.12", "several small receives share one buffer", \
	  "a whole buffer for each receive, however small") \
	X(RECVMSG_MULTISHOT, "recvmsg_multishot", "6.0", "one submission for many datagrams", \
	  "a submission for each datagram") \
	X(ACCEPT_MULTISHOT, "accept_multishot", "5.19", "one submission for many connections", \
	  "a submission for each connection") \
	X(DIRECT, "direct", "5.19", "direct descriptors: files that only the ring knows", \
	  "ordinary descriptors in their place") \
	X(FD_INSTALL, "fd_install", "6.8", "a direct descriptor becomes an ordinary one", \
	  "direct descriptors cannot be installed (EOPNOTSUPP)") \
	X(REGISTERED_BUFFERS, "registered_buffers", "5.19", \
	  "buffers that the kernel maps once, for O_DIRECT and zero copy", "they are mapped for each operation") \
	X(SEND_ZC, "send_zc", "6.0", "sends that do not copy", "sends copy") \
	X(SENDMSG_ZC, "sendmsg_zc", "6.1", "messages sent without copying", "sends copy") \
	X(SOCKET_CMD, "socket_cmd", "6.7", "socket options on the ring, so on direct descriptors too", \
	  "socket options by system calls; none on direct descriptors (EOPNOTSUPP)") \
	X(BIND_LISTEN, "bind_listen", "6.11", "bind and listen on the ring, so on direct descriptors too", \
	  "both by system calls; none on direct descriptors (EOPNOTSUPP)") \
	X(PIPE, "pipe", "6.16", "pipes made by the ring, of direct descriptors too", "pipes by the system call") \
	X(FTRUNCATE, "ftruncate", "6.9", "truncation on the ring", "a thread of the blocking executor for each") \
	X(XATTR, "xattr", "5.19", "extended attributes on the ring", "a thread of the blocking executor for each") \
	X(WAITID, "waitid", "6.7", "waiting for processes on the ring", \
	  "a descriptor (pidfd) to poll for each process; asking now and then for any child") \
	X(FUTEX, "futex", "6.7", "waiting for one futex on the ring", "a thread for each wait") \
	X(GUARD, "guard", "6.13", "stacks are guarded without a mapping each (MADV_GUARD_INSTALL)", \
	  "two mappings a task: mind vm.max_map_count") \
	X(GUARD_MANY, "guard_many", "6.15", "the guards of many stacks by one system call (PIDFD_SELF)", \
	  "a system call for each new stack")

enum feature {
#define X(symbol, name, release, use, cost) FEATURE_##symbol,
	FEATURE_TABLE(X)
#undef X
		FEATURE_COUNT,
};

/*
 * An entry and its completion cost some 100 to 200 ns. Where a system call costs more, entries that share one win;
 * where it costs less they do not (tests/bench/README.md).
 */
enum { DEAR_CALL_NS = 150 };

struct features {
	uint64_t there;   /* the kernel has it */
	uint64_t hidden;  /* named in NORIA_HIDE: treated as absent */
	unsigned call_ns; /* what a system call takes that does nothing: at DEAR_CALL_NS it is worth sparing */
};

struct feature_info {
	const char *name, *release, *use, *cost;
};

extern const struct feature_info noria_feature_table[FEATURE_COUNT];

static inline bool features_has(const struct features *features, enum feature feature)
{
	return (features->there & ~features->hidden) >> feature & 1;
}

/*
 * Find out, once a process; later calls return what the first found. Returns 0, or the negative errno for which no
 * ring can be had, with the remedy in noria_message().
 */
int noria_features_probe(struct features *ret_features);

/* IORING_SETUP_* flags for the features that are there. */
unsigned noria_features_setup_flags(const struct features *features);

#endif
