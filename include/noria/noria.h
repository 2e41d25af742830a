/* SPDX-License-Identifier: MIT */
/* noria: stackful tasks and structured concurrency on io_uring. This header includes all the others. */
#ifndef NORIA_NORIA_H
#define NORIA_NORIA_H

#include <noria/base.h>
#include <noria/block.h>
#include <noria/chain.h>
#include <noria/channel.h>
#include <noria/datagram.h>
#include <noria/direct.h>
#include <noria/directory.h>
#include <noria/executor.h>
#include <noria/failure.h>
#include <noria/file.h>
#include <noria/futex.h>
#include <noria/group.h>
#include <noria/name.h>
#include <noria/net.h>
#include <noria/offload.h>
#include <noria/op.h>
#include <noria/process.h>
#include <noria/promise.h>
#include <noria/run.h>
#include <noria/scope.h>
#include <noria/select.h>
#include <noria/signal.h>
#include <noria/stream.h>
#include <noria/sync.h>
#include <noria/task.h>
#include <noria/time.h>
#include <noria/value.h>
#include <noria/watch.h>
#include <noria/whole.h>
#include <noria/workers.h>
#include <noria/writer.h>

#endif
