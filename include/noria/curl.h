/* SPDX-License-Identifier: MIT */
/*
 * Transfers by libcurl: curl_easy_perform() for tasks. In a library of its own (noria-curl).
 *
 *     noria_try(noria_curl_open(group, &curl));
 *     ...
 *     CURL *easy = curl_easy_init();
 *     curl_easy_setopt(easy, CURLOPT_URL, "https://example.org/");
 *     int code = noria_within(noria_sec(10), noria_curl_perform(curl, easy));
 *
 * All tasks that use one `curl` share one multi handle, with its cache of connections and names and its multiplexing of
 * HTTP/2. One task, a service of the group, drives it, and sleeps until a socket or a timer of libcurl's wants it.
 *
 * Callbacks (CURLOPT_WRITEFUNCTION and the like) run in the driving task, on its stack of 256 KiB, and not in the task
 * that called noria_curl_perform(). They must not park: a consumer that is full pauses the transfer
 * (CURL_WRITEFUNC_PAUSE) and goes on by curl_easy_pause() from its own task. All functions belong to the runtime's
 * thread. Since 0.2.
 */
#ifndef NORIA_CURL_H
#define NORIA_CURL_H

#include <noria/base.h>
#include <noria/group.h>

#include <curl/curl.h>

NORIA_BEGIN_DECLS

/* A multi handle and the task that drives it. */
struct noria_curl;

/*
 * noria_curl_open - start to drive a multi handle in a service of `group`. It ends with the group, once the ordinary
 * children have ended, and closes the connections that are kept; then *ret_curl is freed.
 * Call curl_global_init() before, as always.
 * Returns: 0; -EOPNOTSUPP when this libcurl resolves names without a thread, and would hold up everybody; -ENOMEM;
 * -EMFILE, -ENFILE; or as noria_spawn(). Not a checkpoint. Since 0.2.
 */
NORIA_PUBLIC NORIA_CHECKED int noria_curl_open(struct noria_group *group, struct noria_curl **ret_curl);

/*
 * noria_curl_perform - perform a transfer, as curl_easy_perform(). A cancel takes it out of the multi handle at once,
 * and its connection is closed; `easy` stays the caller's, and can be used again.
 * Returns: a CURLcode: 0, or libcurl's error (> 0); -EBUSY when `easy` is in a transfer already; -EPIPE when the group
 * of `curl` is closing; -EDEADLK when a callback of the same `curl` is calling, or waiting; -ENOMEM; -ECANCELED; -ENXIO
 * outside a runtime. Checkpoint. Since 0.2.
 */
NORIA_PUBLIC NORIA_CHECKED int noria_curl_perform(struct noria_curl *curl, CURL *easy);

/*
 * noria_curl_multi - the multi handle, for curl_multi_setopt() of limits and multiplexing. Its callbacks and their data
 * are the driver's. Not a checkpoint. Since 0.2.
 */
NORIA_PUBLIC CURLM *noria_curl_multi(struct noria_curl *curl);

NORIA_END_DECLS
#endif
