/* SPDX-License-Identifier: MIT */
/*
 * One multi handle, one task that drives it. libcurl says by callbacks which sockets and which moment it waits for. The
 * sockets are kept in an epoll set, so that the driver waits for one descriptor, however many there are, and nothing
 * is submitted anew for sockets that have not changed; a transfer is woken by its own event.
 *
 * Everything runs on one thread and libcurl never parks, so that no lock is needed: a task that adds or takes out a
 * transfer finds the driver asleep. (A callback that parks breaks that; libcurl notices, and refuses.)
 *
 * Invariants: a transfer is in the list exactly while its handle is in the multi handle; `timer_ns` is the moment that
 * libcurl asked for last.
 */
#include <noria/curl.h>
#include <noria/noria.h>

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>

enum { DRIVER_STACK = 256 * 1024, EVENTS_AT_ONCE = 64 };

/* One noria_curl_perform(). */
struct transfer {
	struct transfer *next, **link;
	CURL *easy;
	int result; /* a CURLcode, or -EPIPE */
	struct noria_event ended;
};

struct noria_curl {
	CURLM *multi;
	int epoll;
	int64_t timer_ns;
	struct noria_event changed; /* the timer, by somebody else than the driver */
	struct transfer *transfers;
	bool closing;
};

/* ---- What libcurl waits for ---- */

static int on_socket(__attribute__((unused)) CURL *easy, curl_socket_t fd, int what, void *arg, void *known)
{
	struct noria_curl *curl = arg;
	struct epoll_event event = {.data.fd = fd};

	if (what == CURL_POLL_REMOVE) {
		(void)epoll_ctl(curl->epoll, EPOLL_CTL_DEL, fd, NULL); /* may be closed: then it has left the set */
		return 0;
	}
	event.events = (what & CURL_POLL_IN ? EPOLLIN : 0u) | (what & CURL_POLL_OUT ? EPOLLOUT : 0u);
	if (epoll_ctl(curl->epoll, known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event) < 0)
		return -1; /* no memory, or too many watches: libcurl gives up its transfers */
	(void)curl_multi_assign(curl->multi, fd, curl);
	return 0;
}

static int on_timer(__attribute__((unused)) CURLM *multi, long timeout_ms, void *arg)
{
	struct noria_curl *curl = arg;

	curl->timer_ns = timeout_ms < 0 ? NORIA_FOREVER : noria_now() + noria_msec(timeout_ms);
	noria_event_set(&curl->changed);
	return 0;
}

/* ---- The driver ---- */

static void enlist(struct noria_curl *curl, struct transfer *transfer)
{
	transfer->next = curl->transfers;
	transfer->link = &curl->transfers;
	if (transfer->next)
		transfer->next->link = &transfer->next;
	curl->transfers = transfer;
}

/* Takes its handle out of the multi handle too. */
static void remove_transfer(struct noria_curl *curl, struct transfer *transfer)
{
	if (!transfer->link)
		return;
	*transfer->link = transfer->next;
	if (transfer->next)
		transfer->next->link = transfer->link;
	transfer->link = NULL;
	(void)curl_multi_remove_handle(curl->multi, transfer->easy);
}

static void end_transfer(struct noria_curl *curl, struct transfer *transfer, int result)
{
	remove_transfer(curl, transfer);
	transfer->result = result;
	noria_event_set(&transfer->ended);
}

static void end_finished(struct noria_curl *curl)
{
	CURLMsg *message;
	int left;

	while ((message = curl_multi_info_read(curl->multi, &left))) {
		struct transfer *transfer = curl->transfers;

		while (transfer && transfer->easy != message->easy_handle)
			transfer = transfer->next;
		if (message->msg == CURLMSG_DONE && transfer)
			end_transfer(curl, transfer, (int)message->data.result);
	}
}

static void act(struct noria_curl *curl, curl_socket_t fd, int events)
{
	int running;

	(void)curl_multi_socket_action(curl->multi, fd, events, &running);
}

static void act_on_sockets(struct noria_curl *curl)
{
	struct epoll_event events[EVENTS_AT_ONCE];
	int count = epoll_wait(curl->epoll, events, EVENTS_AT_ONCE, 0);

	for (int i = 0; i < count; i++) {
		uint32_t ready = events[i].events;

		act(curl, events[i].data.fd,
		    (ready & EPOLLIN ? CURL_CSELECT_IN : 0) | (ready & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
			    (ready & (EPOLLERR | EPOLLHUP) ? CURL_CSELECT_ERR : 0));
	}
}

static int wait_for_work(struct noria_curl *curl)
{
	struct noria_case cases[] = {
		noria_case_event(&curl->changed),
		noria_case_fd(curl->epoll, POLLIN),
		noria_case_until(curl->timer_ns),
	};
	int happened;

	noria_event_clear(&curl->changed); /* `cases` have the timer of now */
	happened = noria_select(cases, 3);
	return happened == 1 && cases[1].result < 0 ? cases[1].result : happened;
}

/* Who still waits, of another group, is told. */
static void unmake(struct noria_curl *curl)
{
	curl->closing = true;
	while (curl->transfers)
		end_transfer(curl, curl->transfers, -EPIPE);
	(void)curl_multi_cleanup(curl->multi);
	if (curl->epoll >= 0)
		noria_close(curl->epoll);
}

static int drive(void *arg)
{
	struct noria_curl *curl = arg;
	int happened;

	while ((happened = wait_for_work(curl)) >= 0) {
		if (happened == 1)
			act_on_sockets(curl);
		if (curl->timer_ns <= noria_now()) {
			curl->timer_ns = NORIA_FOREVER;
			act(curl, CURL_SOCKET_TIMEOUT, 0);
		}
		end_finished(curl);
	}
	unmake(curl);
	return happened;
}

/* ---- The calls ---- */

static int make_multi(struct noria_curl *curl)
{
	curl->multi = curl_multi_init();
	if (!curl->multi)
		return -ENOMEM;
	if (curl_multi_setopt(curl->multi, CURLMOPT_SOCKETFUNCTION, on_socket) != CURLM_OK ||
	    curl_multi_setopt(curl->multi, CURLMOPT_SOCKETDATA, curl) != CURLM_OK ||
	    curl_multi_setopt(curl->multi, CURLMOPT_TIMERFUNCTION, on_timer) != CURLM_OK ||
	    curl_multi_setopt(curl->multi, CURLMOPT_TIMERDATA, curl) != CURLM_OK)
		return -EOPNOTSUPP;
	curl->epoll = epoll_create1(EPOLL_CLOEXEC);
	return curl->epoll < 0 ? -errno : 0;
}

/* When the group's last child has ended, and so the driver has. */
static int release(void *arg)
{
	free(arg);
	return 0;
}

int noria_curl_open(struct noria_group *group, struct noria_curl **ret_curl)
{
	struct noria_spawn_options options = {.name = "curl", .stack_size = DRIVER_STACK, .service = true};
	struct noria_curl *curl;
	int r;

	if (!(curl_version_info(CURLVERSION_NOW)->features & CURL_VERSION_ASYNCHDNS))
		return noria_fail(-EOPNOTSUPP, "this libcurl would block in the resolver: take one that was built with "
					       "the threaded resolver or with c-ares");
	curl = calloc(1, sizeof *curl);
	if (!curl)
		return -ENOMEM;
	curl->epoll = -1;
	curl->timer_ns = NORIA_FOREVER;
	r = make_multi(curl);
	if (r == 0)
		r = noria_group_release(group, release, curl);
	if (r < 0) {
		unmake(curl);
		free(curl);
		return r;
	}
	r = noria_spawn_with(group, drive, curl, &options);
	if (r < 0) {
		unmake(curl); /* the rest goes with the group */
		return r;
	}
	*ret_curl = curl;
	return 0;
}

CURLM *noria_curl_multi(struct noria_curl *curl)
{
	return curl->multi;
}

static int add(struct noria_curl *curl, struct transfer *transfer)
{
	switch (curl_multi_add_handle(curl->multi, transfer->easy)) {
	case CURLM_OK:
		enlist(curl, transfer);
		return 0;
	case CURLM_ADDED_ALREADY:
		return noria_fail(-EBUSY, "this easy handle is in a transfer already");
	case CURLM_RECURSIVE_API_CALL:
		return noria_fail(-EDEADLK, "a callback of this libcurl handle is calling, or waiting: it must not");
	case CURLM_BAD_EASY_HANDLE:
		return noria_fail(-EINVAL, "this is no easy handle");
	default:
		return -ENOMEM;
	}
}

/* Takes over `transfer`. */
static int perform(struct noria_curl *curl, struct transfer *transfer)
{
	CURL *easy = transfer->easy;
	int r = noria_event_wait(&transfer->ended);

	if (r == 0) {
		r = transfer->result;
	} else {
		/* Without this libcurl would wait for the thread that resolves the name. */
		(void)curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
		remove_transfer(curl, transfer);
		(void)curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 0L);
	}
	free(transfer);
	return r;
}

int noria_curl_perform(struct noria_curl *curl, CURL *easy)
{
	struct transfer *transfer;
	int r = noria_check();

	if (r < 0)
		return r;
	if (curl->closing)
		return noria_fail(-EPIPE, "the group that drives this libcurl handle is closing");
	transfer = calloc(1, sizeof *transfer);
	if (!transfer)
		return -ENOMEM;
	transfer->easy = easy;
	r = add(curl, transfer);
	if (r < 0)
		free(transfer);
	return r < 0 ? r : perform(curl, transfer);
}
