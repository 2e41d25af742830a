/* SPDX-License-Identifier: MIT */
/* The table of operations. How long a worker takes is typical of an NVMe disk and a warm page cache. */
#include "simulation/operation.h"

#include "ring/compat.h"

#include <poll.h>

enum { NAME_NS = 10 * 1000, WRITE_NS = 15 * 1000, SYNC_NS = 1000 * 1000 };

#define READS(name_, run_) \
	{ \
		.name = name_, .run = run_, .events = POLLIN, .typical_ns = SIM_READ_NS, .has_file = true, \
		.transfers = true \
	}
#define WRITES(name_, run_) \
	{ \
		.name = name_, .run = run_, .events = POLLOUT, .typical_ns = WRITE_NS, .has_file = true, \
		.transfers = true \
	}
#define SOCKET(name_, run_, events_) \
	{ \
		.name = name_, .run = run_, .events = events_, .has_file = true \
	}
#define SEND_ZC(name_, run_) \
	{ \
		.name = name_, .run = run_, .events = POLLOUT, .has_file = true, .zero_copy = true \
	}
#define AT_ONCE(name_, run_) \
	{ \
		.name = name_, .run = run_ \
	}
#define OF_NAME(name_, run_) \
	{ \
		.name = name_, .run = run_, .typical_ns = NAME_NS, .works = true \
	}
#define OF_FILE(name_, run_, ns_) \
	{ \
		.name = name_, .run = run_, .typical_ns = ns_, .has_file = true, .works = true \
	}

const struct sim_operation sim_operations[256] = {
	[IORING_OP_NOP] = AT_ONCE("nop", sim_run_nop),
	[IORING_OP_READ] = READS("read", sim_run_read),
	[IORING_OP_READ_FIXED] = READS("read_fixed", sim_run_read),
	[IORING_OP_READV] = READS("readv", sim_run_readv),
	[IORING_OP_WRITE] = WRITES("write", sim_run_write),
	[IORING_OP_WRITE_FIXED] = WRITES("write_fixed", sim_run_write),
	[IORING_OP_WRITEV] = WRITES("writev", sim_run_writev),
	[IORING_OP_RECV] = SOCKET("recv", sim_run_recv, POLLIN),
	[IORING_OP_RECVMSG] = SOCKET("recvmsg", sim_run_recvmsg, POLLIN),
	[IORING_OP_SEND] = SOCKET("send", sim_run_send, POLLOUT),
	[IORING_OP_SENDMSG] = SOCKET("sendmsg", sim_run_sendmsg, POLLOUT),
	[IORING_OP_SEND_ZC] = SEND_ZC("send_zc", sim_run_send),
	[IORING_OP_SENDMSG_ZC] = SEND_ZC("sendmsg_zc", sim_run_sendmsg),
	[IORING_OP_SPLICE] = SOCKET("splice", sim_run_splice, POLLOUT),
	[IORING_OP_TEE] = SOCKET("tee", sim_run_tee, POLLOUT),
	[IORING_OP_POLL_ADD] = SOCKET("poll", sim_run_poll, 0),
	[IORING_OP_CLOSE] = AT_ONCE("close", sim_run_close),
	[IORING_OP_FIXED_FD_INSTALL] = SOCKET("fd_install", sim_run_fd_install, 0),
	[IORING_OP_FILES_UPDATE] = AT_ONCE("files_update", sim_run_files_update),
	[IORING_OP_ASYNC_CANCEL] = AT_ONCE("cancel", sim_run_cancel),
	[IORING_OP_TIMEOUT] = AT_ONCE("timeout", sim_run_timeout),
	[IORING_OP_LINK_TIMEOUT] = {.name = "link_timeout"}, /* its time is kept by what it limits */
	[IORING_OP_FUTEX_WAIT] = AT_ONCE("futex_wait", sim_run_futex_wait),
	[IORING_OP_FUTEX_WAKE] = AT_ONCE("futex_wake", sim_run_futex_wake),
	[IORING_OP_SOCKET] = AT_ONCE("socket", sim_run_socket),
	[IORING_OP_BIND] = SOCKET("bind", sim_run_bind, 0),
	[IORING_OP_LISTEN] = SOCKET("listen", sim_run_listen, 0),
	[IORING_OP_ACCEPT] = SOCKET("accept", sim_run_accept, POLLIN),
	[IORING_OP_CONNECT] = SOCKET("connect", sim_run_connect, POLLOUT),
	[IORING_OP_SHUTDOWN] = SOCKET("shutdown", sim_run_shutdown, 0),
	[IORING_OP_URING_CMD] = SOCKET("socket_command", sim_run_socket_command, 0),
	[RING_OP_PIPE] = AT_ONCE("pipe", sim_run_pipe),
	[IORING_OP_OPENAT] = OF_NAME("openat", sim_run_openat),
	[IORING_OP_OPENAT2] = OF_NAME("openat2", sim_run_openat2),
	[IORING_OP_STATX] = OF_NAME("statx", sim_run_statx),
	[IORING_OP_RENAMEAT] = OF_NAME("renameat", sim_run_renameat),
	[IORING_OP_UNLINKAT] = OF_NAME("unlinkat", sim_run_unlinkat),
	[IORING_OP_MKDIRAT] = OF_NAME("mkdirat", sim_run_mkdirat),
	[IORING_OP_SYMLINKAT] = OF_NAME("symlinkat", sim_run_symlinkat),
	[IORING_OP_LINKAT] = OF_NAME("linkat", sim_run_linkat),
	[IORING_OP_FSYNC] = OF_FILE("fsync", sim_run_fsync, SYNC_NS),
	[IORING_OP_SYNC_FILE_RANGE] = OF_FILE("sync_file_range", sim_run_sync_file_range, SYNC_NS),
	[IORING_OP_FALLOCATE] = OF_FILE("fallocate", sim_run_fallocate, WRITE_NS),
	[IORING_OP_FTRUNCATE] = OF_FILE("ftruncate", sim_run_ftruncate, WRITE_NS),
	[IORING_OP_FADVISE] = OF_FILE("fadvise", sim_run_advise, NAME_NS),
	[IORING_OP_MADVISE] = AT_ONCE("madvise", sim_run_advise),
	[IORING_OP_FSETXATTR] = OF_FILE("fsetxattr", sim_run_fsetxattr, NAME_NS),
	[IORING_OP_FGETXATTR] = OF_FILE("fgetxattr", sim_run_fgetxattr, NAME_NS),
	[IORING_OP_SETXATTR] = OF_NAME("setxattr", sim_run_setxattr),
	[IORING_OP_GETXATTR] = OF_NAME("getxattr", sim_run_getxattr),
};
