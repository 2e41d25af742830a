/* SPDX-License-Identifier: MIT */
/*
 * The operations, a family a file: what each `run` of the table in operation.c is. See sim_operation in request.h for
 * what they answer.
 */
#ifndef NORIA_SIMULATION_OPERATION_H
#define NORIA_SIMULATION_OPERATION_H

#include "simulation/request.h"

/* Of any open file: operation_transfer.c */
int64_t sim_run_read(struct sim_request *request);
int64_t sim_run_readv(struct sim_request *request);
int64_t sim_run_write(struct sim_request *request);
int64_t sim_run_writev(struct sim_request *request);
int64_t sim_run_recv(struct sim_request *request);
int64_t sim_run_recvmsg(struct sim_request *request);
int64_t sim_run_send(struct sim_request *request);
int64_t sim_run_sendmsg(struct sim_request *request);
int64_t sim_run_splice(struct sim_request *request);
int64_t sim_run_tee(struct sim_request *request);

/* Of descriptors, and of the ring itself: operation_ring.c */
int64_t sim_run_nop(struct sim_request *request);
int64_t sim_run_poll(struct sim_request *request);
int64_t sim_run_close(struct sim_request *request);
int64_t sim_run_fd_install(struct sim_request *request);
int64_t sim_run_files_update(struct sim_request *request);
int64_t sim_run_cancel(struct sim_request *request);
int64_t sim_run_timeout(struct sim_request *request);
int64_t sim_run_futex_wait(struct sim_request *request);
int64_t sim_run_futex_wake(struct sim_request *request);

/* Of sockets and pipes: net/operation_net.c */
int64_t sim_run_socket(struct sim_request *request);
int64_t sim_run_bind(struct sim_request *request);
int64_t sim_run_listen(struct sim_request *request);
int64_t sim_run_accept(struct sim_request *request);
int64_t sim_run_connect(struct sim_request *request);
int64_t sim_run_shutdown(struct sim_request *request);
int64_t sim_run_socket_command(struct sim_request *request);
int64_t sim_run_pipe(struct sim_request *request);

/* Of files and their names: disk/operation_disk.c */
int64_t sim_run_openat(struct sim_request *request);
int64_t sim_run_openat2(struct sim_request *request);
int64_t sim_run_statx(struct sim_request *request);
int64_t sim_run_renameat(struct sim_request *request);
int64_t sim_run_unlinkat(struct sim_request *request);
int64_t sim_run_mkdirat(struct sim_request *request);
int64_t sim_run_symlinkat(struct sim_request *request);
int64_t sim_run_linkat(struct sim_request *request);
int64_t sim_run_fsync(struct sim_request *request);
int64_t sim_run_sync_file_range(struct sim_request *request);
int64_t sim_run_fallocate(struct sim_request *request);
int64_t sim_run_ftruncate(struct sim_request *request);
int64_t sim_run_advise(struct sim_request *request);
int64_t sim_run_fsetxattr(struct sim_request *request);
int64_t sim_run_setxattr(struct sim_request *request);
int64_t sim_run_fgetxattr(struct sim_request *request);
int64_t sim_run_getxattr(struct sim_request *request);

#endif
