/* SPDX-License-Identifier: MIT */
/*
 * Connecting by name: which addresses are tried, when, and what becomes of the attempts. The resolver is the test's own
 * (name.h); addresses are of loopback. `prepare` stands in for what a test cannot have of the kernel on demand: it sees
 * each attempt begin, and can fail, wait and go on at a moment of the test's choosing.
 */
#include "name.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/un.h>
#include <unistd.h>

static int told; /* what the failure handler heard of */

static void hear(const struct noria_failure *failure, const char *text, void *arg)
{
	(void)arg;
	fprintf(stderr, "told: %s: %s\n", text, failure->text);
	told++;
}

static const struct noria_config quiet = {.on_failure = hear};

static const char *port_text(int port)
{
	static char text[8];

	snprintf(text, sizeof text, "%d", port);
	return text;
}

/* ---- the order of things ---- */

UNIT_WITH(name_connect, the_first_address_that_answers_is_taken, &quiet)
{
	int port = 0, first = names_listen(1, &port), second = names_listen(2, &port), fd;

	names_use();
	fd = noria_connect_name("127.0.0.1+127.0.0.2", port_text(port), NULL);
	MUST(fd >= 0);
	EXPECT_EQ(names_peer(fd), 1);
	EXPECT_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
	EXPECT_EQ(noria_progress(), 1);
	EXPECT_EQ(names.asked, 1);
	EXPECT_EQ(noria_close(fd), 0);
	EXPECT_EQ(close(first) | close(second), 0);
	EXPECT_EQ(told, 0);
	return 0;
}

/* A number takes no thread. */
UNIT_WITH(name_connect, a_numeric_address_is_not_looked_up, &quiet)
{
	int port = 0, listener = names_listen(3, &port), fd;

	names_use();
	fd = noria_connect_name("127.0.0.3", port_text(port), NULL);
	MUST(fd >= 0);
	EXPECT_EQ(names_peer(fd), 3);
	EXPECT_EQ(names.asked, 0);
	EXPECT_EQ(noria_progress(), 1);
	EXPECT_EQ(noria_close(fd) | close(listener), 0);
	return 0;
}

/* With no time in which the second would be tried by itself. */
UNIT_WITH(name_connect, a_failed_address_is_followed_by_the_next_at_once, &quiet)
{
	struct noria_connect_name_options options = {.delay_ns = NORIA_FOREVER};
	int port = 0, refusing = names_refusing(1, &port), also = names_refusing(2, &port),
	    listener = names_listen(3, &port), fd;

	names_use();
	fd = noria_connect_name("127.0.0.1+127.0.0.2+127.0.0.3", port_text(port), &options);
	MUST(fd >= 0);
	EXPECT_EQ(names_peer(fd), 3);
	EXPECT_EQ(noria_progress(), 3);
	EXPECT_EQ(noria_close(fd) | close(refusing) | close(also) | close(listener), 0);
	EXPECT_EQ(told, 0);
	return 0;
}

UNIT_WITH(name_connect, a_silent_address_is_followed_by_the_next_after_a_while, &quiet)
{
	struct noria_connect_name_options options = {.delay_ns = noria_msec(2)};
	int crowd[NAMES_CROWD], port = 0, deaf = names_deaf(1, &port, crowd), listener = names_listen(2, &port), fd;
	int64_t before = noria_now();

	names_use();
	fd = noria_connect_name("127.0.0.1+127.0.0.2", port_text(port), &options);
	MUST(fd >= 0);
	EXPECT_EQ(names_peer(fd), 2);
	EXPECT_EQ(noria_progress(), 2);
	EXPECT(noria_now() - before >= noria_msec(2));
	EXPECT_EQ(noria_close(fd) | close(deaf) | close(listener), 0);
	for (int i = 0; i < NAMES_CROWD; i++)
		EXPECT_EQ(close(crowd[i]), 0);
	EXPECT_EQ(told, 0);
	return 0;
}

/* What `prepare` saw. */
struct seen {
	int count, families[8], last_bytes[8];
	int answers[8]; /* of prepare; 0: go on */
	struct noria_event start, reached[8];
	int wait; /* how many wait for `start`, the first ones */
	bool stubborn;
};

static int see(int fd, const struct sockaddr *address, socklen_t length, void *arg)
{
	struct seen *seen = arg;
	int number = seen->count++;

	MUST(number < 8);
	EXPECT(fcntl(fd, F_GETFD) == FD_CLOEXEC);
	EXPECT(length >= sizeof(struct sockaddr_in));
	seen->families[number] = address->sa_family;
	if (address->sa_family == AF_INET)
		seen->last_bytes[number] =
			ntohl(((const struct sockaddr_in *)(const void *)address)->sin_addr.s_addr) & 0xff;
	else
		seen->last_bytes[number] = ((const struct sockaddr_in6 *)(const void *)address)->sin6_addr.s6_addr[15];
	noria_event_set(&seen->reached[number]);
	if (number < seen->wait && seen->stubborn)
		MUST(noria_shielded(noria_sec(50), noria_event_wait(&seen->start)) == 0);
	else if (number < seen->wait)
		noria_try(noria_event_wait(&seen->start));
	return seen->answers[number];
}

UNIT_WITH(name_connect, the_families_take_turns, &quiet)
{
	static const int wanted[] = {AF_INET6, AF_INET, AF_INET6, AF_INET, AF_INET}, bytes[] = {1, 4, 2, 5, 6};
	struct seen seen = {.answers = {-EIO, -EIO, -EIO, -EIO, -EIO}};
	struct noria_connect_name_options options = {.prepare = see, .prepare_arg = &seen};

	if (!names_have_ipv6())
		return 0;
	names_use();
	EXPECT_EQ(noria_connect_name("::1+::2+127.0.0.4+127.0.0.5+127.0.0.6", "9", &options), -EIO);
	EXPECT_EQ(seen.count, 5);
	for (int i = 0; i < 5; i++) {
		EXPECT_EQ(seen.families[i], wanted[i]);
		EXPECT_EQ(seen.last_bytes[i], bytes[i]);
	}
	EXPECT_EQ(noria_progress(), 5);
	return 0;
}

UNIT_WITH(name_connect, no_more_addresses_are_tried_than_asked_for, &quiet)
{
	struct seen seen = {.answers = {-EIO, -EIO, -EIO}};
	struct noria_connect_name_options options = {.prepare = see, .prepare_arg = &seen, .addresses_max = 2};

	names_use();
	EXPECT_EQ(noria_connect_name("127.0.0.1+127.0.0.2+127.0.0.3", "9", &options), -EIO);
	EXPECT_EQ(seen.count, 2);
	EXPECT_EQ(seen.last_bytes[1], 2);
	return 0;
}

UNIT_WITH(name_connect, one_family_is_asked_for_and_tried, &quiet)
{
	struct noria_connect_name_options options = {.family = AF_INET};
	int port = 0, listener = names_listen(1, &port), fd;

	names_use();
	fd = noria_connect_name("::1+127.0.0.1", port_text(port), &options);
	MUST(fd >= 0);
	EXPECT_EQ(names_peer(fd), 1);
	EXPECT_EQ(noria_progress(), 1);
	options.family = AF_INET6;
	EXPECT_EQ(noria_connect_name("127.0.0.1+127.0.0.2", port_text(port), &options), -ENOENT);
	EXPECT_EQ(noria_progress(), 0);
	EXPECT_EQ(noria_close(fd) | close(listener), 0);
	return 0;
}

/* ---- who wins ---- */

struct connecting {
	const char *host, *service;
	struct noria_connect_name_options options;
	struct noria_scope scope;
	bool begun, ended;
	int result, next;
	size_t progress;
};

static int connect_it(void *arg)
{
	struct connecting *connecting = arg;

	MUST(noria_scope_open(&connecting->scope, NORIA_FOREVER, 0) == 0);
	connecting->begun = true;
	connecting->result = noria_connect_name(connecting->host, connecting->service, &connecting->options);
	connecting->progress = noria_progress();
	connecting->next = noria_check();
	connecting->ended = true;
	return (int)noria_scope_close(&connecting->scope, 0);
}

/* The first attempt is held up, and the second, and both are let go at once: one wins, the other is not lost. */
UNIT_WITH(name_connect, of_two_that_stand_together_one_is_closed, &quiet)
{
	int port = 0, first = names_listen(1, &port), second = names_listen(2, &port);
	struct seen seen = {.wait = 2};
	struct connecting connecting = {.host = "127.0.0.1+127.0.0.2",
					.service = port_text(port),
					.options = {.delay_ns = noria_usec(1), .prepare = see, .prepare_arg = &seen}};
	struct noria_group group;

	names_use();
	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, connect_it, &connecting) == 0);
	MUST(noria_event_wait(&seen.reached[1]) == 0);
	noria_event_set(&seen.start);
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	MUST(connecting.result >= 0);
	EXPECT_EQ(connecting.progress, 2);
	EXPECT_EQ(connecting.next, 0);
	EXPECT_EQ(noria_close(connecting.result) | close(first) | close(second), 0);
	EXPECT_EQ(told, 0);
	return 0;
}

/* The loser comes to its end, with an error, when all is decided: nobody hears of that. */
UNIT_WITH(name_connect, an_attempt_that_fails_after_the_race_is_no_failure, &quiet)
{
	int port = 0, listener = names_listen(2, &port);
	struct seen seen = {.wait = 1, .stubborn = true, .answers = {-EIO}};
	struct connecting connecting = {.host = "127.0.0.1+127.0.0.2",
					.service = port_text(port),
					.options = {.delay_ns = noria_usec(1), .prepare = see, .prepare_arg = &seen}};
	struct noria_group group;

	names_use();
	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, connect_it, &connecting) == 0);
	MUST(noria_event_wait(&seen.reached[1]) == 0);
	for (int i = 0; i < 200; i++) /* far enough for the second to win */
		MUST(noria_sleep(noria_usec(10)) == 0);
	EXPECT(!connecting.ended); /* no attempt outlives the call */
	noria_event_set(&seen.start);
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	MUST(connecting.result >= 0);
	EXPECT_EQ(names_peer(connecting.result), 2);
	EXPECT_EQ(noria_close(connecting.result) | close(listener), 0);
	EXPECT_EQ(told, 0);
	return 0;
}

/* The first one hangs, the second is refused, and then the first answers after all. */
UNIT_WITH(name_connect, a_late_answer_of_the_first_is_taken, &quiet)
{
	int port = 0, first = names_listen(1, &port), refusing = names_refusing(2, &port);
	struct seen seen = {.wait = 1};
	struct connecting connecting = {.host = "127.0.0.1+127.0.0.2",
					.service = port_text(port),
					.options = {.delay_ns = noria_usec(1), .prepare = see, .prepare_arg = &seen}};
	struct noria_group group;

	names_use();
	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, connect_it, &connecting) == 0);
	MUST(noria_event_wait(&seen.reached[1]) == 0);
	MUST(noria_sleep(noria_msec(2)) == 0);
	noria_event_set(&seen.start);
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	MUST(connecting.result >= 0);
	EXPECT_EQ(names_peer(connecting.result), 1);
	EXPECT_EQ(connecting.progress, 2);
	EXPECT_EQ(noria_close(connecting.result) | close(first) | close(refusing), 0);
	EXPECT_EQ(told, 0);
	return 0;
}

/* ---- failures ---- */

UNIT_WITH(name_connect, when_all_fail_each_is_told, &quiet)
{
	int port = 0, one = names_refusing(1, &port), two = names_refusing(2, &port);
	const struct noria_failure *failure;

	names_use();
	EXPECT_EQ(noria_connect_name("127.0.0.1+127.0.0.2", port_text(port), NULL), -ECONNREFUSED);
	EXPECT(strstr(noria_message(), "127.0.0.1: Connection refused; 127.0.0.2: Connection refused"));
	EXPECT(strstr(noria_message(), port_text(port)));
	EXPECT_EQ(noria_progress(), 2);
	failure = noria_last_failure();
	MUST(failure && failure->code == -ECONNREFUSED);
	EXPECT(strstr(failure->text, "127.0.0.1: Connection refused; 127.0.0.2: Connection refused"));
	EXPECT(failure->path_length == 1 && strstr(failure->path[0]->file, "name_connect.c"));
	EXPECT_EQ(noria_check(), 0);
	EXPECT_EQ(close(one) | close(two), 0);
	EXPECT_EQ(told, 0);
	return 0;
}

/* What the address itself answered says more than that this machine has no way to another one. */
UNIT_WITH(name_connect, the_most_telling_error_is_the_code, &quiet)
{
	struct seen seen = {.answers = {-ENETUNREACH, -EACCES, -ENETUNREACH, -EIO}};
	struct noria_connect_name_options options = {.prepare = see, .prepare_arg = &seen};

	names_use();
	EXPECT_EQ(noria_connect_name("127.0.0.1+127.0.0.2+127.0.0.3+127.0.0.4", "9", &options), -EACCES);
	seen = (struct seen){.answers = {-ENETUNREACH, -EADDRNOTAVAIL}};
	EXPECT_EQ(noria_connect_name("127.0.0.1+127.0.0.2", "9", &options), -ENETUNREACH);
	seen = (struct seen){.answers = {-EPERM}};
	EXPECT_EQ(noria_connect_name("127.0.0.1", "9", &options), -EPERM);
	EXPECT(strstr(noria_message(), "connecting to 127.0.0.1, service 9: 127.0.0.1: Operation not permitted"));
	return 0;
}

UNIT_WITH(name_connect, a_name_without_an_address_is_not_connected_to, &quiet)
{
	names_use();
	EXPECT_EQ(noria_connect_name("eai:-2", "9", NULL), -ENOENT);
	EXPECT(strstr(noria_message(), "looking up host eai:-2, service 9: Name or service not known"));
	EXPECT(strstr(noria_last_failure()->text, "looking up host eai:-2"));
	EXPECT_EQ(noria_progress(), 0);
	EXPECT_EQ(noria_connect_name("eai:-3", "9", NULL), -EAGAIN);
	EXPECT_EQ(noria_check(), 0);
	EXPECT_EQ(told, 0);
	return 0;
}

UNIT_WITH(name_connect, what_cannot_be_meant_is_refused, &quiet)
{
	struct noria_connect_name_options options = {.family = AF_UNIX};
	char path[128] = "unix:/";

	names_use();
	EXPECT_EQ(noria_connect_name("127.0.0.1", NULL, NULL), -EINVAL);
	EXPECT(strstr(noria_message(), "no service"));
	EXPECT_EQ(noria_connect_name("127.0.0.1", "", NULL), -EINVAL);
	EXPECT_EQ(noria_connect_name("127.0.0.1", "65536", NULL), -EINVAL);
	EXPECT_EQ(noria_connect_name("127.0.0.1", "9", &options), -EINVAL);
	options = (struct noria_connect_name_options){.addresses_max = NORIA_CONNECT_ADDRESSES_MAX + 1};
	EXPECT_EQ(noria_connect_name("127.0.0.1", "9", &options), -EINVAL);
	options = (struct noria_connect_name_options){.delay_ns = -1};
	EXPECT_EQ(noria_connect_name("127.0.0.1", "9", &options), -EINVAL);
	options = (struct noria_connect_name_options){.reserved = {0, 0, 0, 1}};
	EXPECT_EQ(noria_connect_name("127.0.0.1", "9", &options), -EINVAL);
	EXPECT(strstr(noria_message(), "reserved"));
	memset(path + 6, 'x', 106);
	EXPECT_EQ(noria_connect_name(path, NULL, NULL), -ENOENT);
	path[6 + 106] = 'x';
	EXPECT_EQ(noria_connect_name(path, NULL, NULL), -EINVAL);
	EXPECT(strstr(noria_message(), "107"));
	EXPECT_EQ(noria_connect_name("unix:", NULL, NULL), -EINVAL);
	EXPECT_EQ(names.asked, 0);
	return 0;
}

Test(name_connect, outside_a_runtime)
{
	struct addrinfo *list = NULL;

	cr_expect_eq(noria_connect_name("127.0.0.1", "9", NULL), -ENXIO);
	cr_expect_eq(noria_listen_name("127.0.0.1", "0", NULL), -ENXIO);
	cr_expect_eq(noria_getaddrinfo("127.0.0.1", "9", NULL, &list), -ENXIO);
	cr_expect_null(list);
}

/* ---- Unix sockets ---- */

/* Of a path it counts the zero at its end; an abstract name has none. */
static size_t length_of_name(int fd)
{
	struct sockaddr_un address;
	socklen_t length = sizeof address;

	MUST(getsockname(fd, (struct sockaddr *)&address, &length) == 0);
	return length - offsetof(struct sockaddr_un, sun_path);
}

UNIT_WITH(name_connect, a_unix_socket_is_a_name_too, &quiet)
{
	char names_of[2][64];

	snprintf(names_of[0], sizeof names_of[0], "unix:/tmp/noria-name-%d", getpid());
	snprintf(names_of[1], sizeof names_of[1], "unix:@noria-name-%d", getpid());
	names_use();
	for (int i = 0; i < 2; i++) {
		int listener = noria_listen_name(names_of[i], NULL, NULL), fd, peer;

		MUST(listener >= 0);
		EXPECT_EQ(fcntl(listener, F_GETFD), FD_CLOEXEC);
		EXPECT_EQ(length_of_name(listener), strlen(names_of[i]) - 5 + (i == 0));
		fd = noria_connect_name(names_of[i], NULL, NULL);
		MUST(fd >= 0);
		EXPECT_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
		peer = noria_accept(listener, NULL, NULL);
		MUST(peer >= 0);
		EXPECT_EQ(noria_listen_name(names_of[i], NULL, NULL), -EADDRINUSE);
		EXPECT(strstr(noria_message(), names_of[i]));
		EXPECT(strstr(noria_message(), "remove the file"));
		EXPECT_EQ(noria_close(fd) | noria_close(peer) | noria_close(listener), 0);
		EXPECT_EQ(noria_connect_name(names_of[i], NULL, NULL), -ECONNREFUSED);
		EXPECT(strstr(noria_message(), names_of[i]));
	}
	EXPECT_EQ(unlink(names_of[0] + 5), 0);
	EXPECT_EQ(noria_connect_name(names_of[0], NULL, NULL), -ENOENT);
	EXPECT_EQ(names.asked, 0);
	return 0;
}

/* ---- cancelled, and timed out ---- */

UNIT_WITH(name_connect, cancelled_before_nothing_happens, &quiet)
{
	struct noria_scope scope;
	int port = 0, listener = names_listen(1, &port);

	names_use();
	MUST(noria_scope_open(&scope, NORIA_FOREVER, 0) == 0);
	noria_scope_cancel(&scope);
	EXPECT_EQ(noria_connect_name("127.0.0.1", port_text(port), NULL), -ECANCELED);
	EXPECT_EQ(noria_progress(), 0);
	EXPECT_EQ(noria_connect_name("127.0.0.1+127.0.0.2", port_text(port), NULL), -ECANCELED);
	EXPECT_EQ(noria_progress(), 0);
	EXPECT_EQ(noria_scope_close(&scope, 0), 0);
	EXPECT_EQ(names.asked, 0);
	EXPECT_EQ(poll(&(struct pollfd){.fd = listener, .events = POLLIN}, 1, 0), 0);
	EXPECT_EQ(close(listener), 0);
	return 0;
}

/* Its time is over once it has come so far. */
static void expire(struct noria_group *group, struct connecting *connecting)
{
	EXPECT(!connecting->ended);
	MUST(noria_scope_set_deadline(&connecting->scope, noria_now()) == 0);
	EXPECT_EQ(noria_group_close(group, 0), -ETIMEDOUT);
	EXPECT_EQ(noria_last_failure()->causes_lost, 0);
	EXPECT_EQ(connecting->result, -ECANCELED);
}

static void start(struct noria_group *group, struct connecting *connecting, const char *host, int port)
{
	*connecting = (struct connecting){.host = host, .service = port_text(port), .options = connecting->options};
	MUST(noria_group_open(group) == 0);
	MUST(noria_spawn(group, connect_it, connecting) == 0);
}

/* R05: a time limit that comes while attempts wait says how many there were; one that comes during the lookup, none. */
UNIT_WITH(name_connect, R05_a_limit_tells_how_far_it_came, &quiet)
{
	int crowd[NAMES_CROWD], port = 0, deaf = names_deaf(1, &port, crowd), refusing = names_refusing(2, &port);
	struct seen seen = {0};
	struct connecting connecting = {.options = {.delay_ns = NORIA_FOREVER, .prepare = see, .prepare_arg = &seen}};
	struct noria_group group;

	names_use();
	start(&group, &connecting, "127.0.0.1+127.0.0.2", port);
	MUST(noria_event_wait(&seen.reached[0]) == 0);
	expire(&group, &connecting);
	EXPECT_EQ(connecting.progress, 1);
	/* The error of one attempt is not taken for the answer: the other one might have been. */
	memset(&seen, 0, sizeof seen);
	start(&group, &connecting, "127.0.0.2+127.0.0.1", port);
	MUST(noria_event_wait(&seen.reached[1]) == 0);
	expire(&group, &connecting);
	EXPECT_EQ(connecting.progress, 2);
	start(&group, &connecting, "hold:127.0.0.2+127.0.0.1", port);
	COMES(names.under_way == 1);
	expire(&group, &connecting);
	EXPECT_EQ(connecting.progress, 0);
	names_release();
	names_settle();
	EXPECT_EQ(close(deaf) | close(refusing), 0);
	for (int i = 0; i < NAMES_CROWD; i++)
		EXPECT_EQ(close(crowd[i]), 0);
	EXPECT_EQ(told, 0);
	return 0;
}

static const struct noria_config three_tasks = {.on_failure = hear, .tasks_max = 3};

/* The second attempt finds no place for its task: that is its error, and the first is waited for. */
UNIT_WITH(name_connect, an_attempt_that_cannot_be_started_has_failed, &three_tasks)
{
	int crowd[NAMES_CROWD], port = 0, deaf = names_deaf(1, &port, crowd);
	struct connecting connecting = {.options = {.delay_ns = noria_usec(1)}};
	struct noria_group group;

	names_use();
	start(&group, &connecting, "127.0.0.1+127.0.0.2", port);
	COMES(names.asked == 1 && noria_group_size(&group) == 1);
	for (int i = 0; i < 100; i++) /* long past the turn of the second */
		MUST(noria_sleep(noria_usec(50)) == 0);
	expire(&group, &connecting);
	EXPECT_EQ(connecting.progress, 2);
	EXPECT_EQ(close(deaf), 0);
	for (int i = 0; i < NAMES_CROWD; i++)
		EXPECT_EQ(close(crowd[i]), 0);
	EXPECT_EQ(told, 0);
	return 0;
}

UNIT_WITH(name_connect, a_limit_that_does_not_fire, &quiet)
{
	int port = 0, listener = names_listen(1, &port), fd;

	names_use();
	fd = noria_within(noria_sec(50), noria_connect_name("127.0.0.1+127.0.0.2", port_text(port), NULL));
	MUST(fd >= 0);
	EXPECT_EQ(noria_close(fd) | close(listener), 0);
	return 0;
}

/* R05, R01: cancelled after each number of turns: there is a descriptor, or -ECANCELED, and nothing else remains. */
UNIT_WITH(name_connect, R01_a_cancel_at_any_moment_loses_nothing, &quiet)
{
	static const char *const hosts[] = {"127.0.0.1", "127.0.0.2+127.0.0.1", "127.0.0.1+127.0.0.3"};
	int port = 0, listener = names_listen(1, &port), refusing = names_refusing(2, &port);
	int connected = 0, cancelled = 0, before = unit_count_fds();

	names_use();
	for (int turns = 0; turns < 60; turns++) {
		struct connecting connecting = {.host = hosts[turns % 3], .service = port_text(port)};
		struct noria_group group;

		connecting.options.delay_ns = noria_usec(20);
		MUST(noria_group_open(&group) == 0);
		MUST(noria_spawn(&group, connect_it, &connecting) == 0);
		MUST(noria_yield() == 0);
		for (int i = 0; i < turns / 3 && !connecting.ended; i++)
			MUST(i < 6 ? noria_yield() == 0 : noria_sleep(noria_usec(20)) == 0);
		noria_scope_cancel(&connecting.scope);
		EXPECT_EQ(noria_group_close(&group, 0), 0);
		EXPECT(connecting.result >= 0 || connecting.result == -ECANCELED);
		connected += connecting.result >= 0;
		cancelled += connecting.result == -ECANCELED;
		if (connecting.result == -ECANCELED)
			EXPECT_EQ(connecting.next, -ECANCELED);
		else
			EXPECT_EQ(noria_close(connecting.result), 0);
		EXPECT_EQ(unit_count_fds(), before);
	}
	EXPECT(cancelled > 0);
	EXPECT_EQ(connected + cancelled, 60);
	EXPECT_EQ(close(listener) | close(refusing), 0);
	names_settle();
	EXPECT_EQ(told, 0);
	return 0;
}

/* R01: an attempt that stands when its caller is cancelled is the result. */
UNIT_WITH(name_connect, R01_a_connection_that_stands_is_delivered, &quiet)
{
	int port = 0, first = names_listen(1, &port), refusing = names_refusing(2, &port);
	struct seen seen = {.wait = 1, .stubborn = true};
	struct connecting connecting = {.host = "127.0.0.1+127.0.0.2",
					.service = port_text(port),
					.options = {.delay_ns = noria_usec(1), .prepare = see, .prepare_arg = &seen}};
	struct noria_group group;
	int tries = 0;

	/* The cancel must come between the end of the attempt and the turn of the caller; that is a matter of turns. */
	do {
		connecting.begun = connecting.ended = false;
		seen = (struct seen){.wait = 1, .stubborn = true};
		names_use();
		MUST(noria_group_open(&group) == 0);
		MUST(noria_spawn(&group, connect_it, &connecting) == 0);
		MUST(noria_event_wait(&seen.reached[0]) == 0);
		noria_event_set(&seen.start);
		for (int i = 0; i < tries % 8; i++)
			MUST(noria_yield() == 0);
		noria_scope_cancel(&connecting.scope);
		EXPECT_EQ(noria_group_close(&group, 0), 0);
		if (connecting.result >= 0)
			EXPECT_EQ(noria_close(connecting.result), 0);
		else
			EXPECT_EQ(connecting.result, -ECANCELED);
	} while (!(connecting.result >= 0 && connecting.next == -ECANCELED) && ++tries < 400);
	EXPECT(connecting.result >= 0 && connecting.next == -ECANCELED);
	EXPECT_EQ(close(first) | close(refusing), 0);
	EXPECT_EQ(told, 0);
	return 0;
}

/* ---- the lookup ---- */

/* R01, X01: the thread goes on by itself; what it finds is freed there. */
UNIT_WITH(name_connect, cancelled_during_the_lookup_nobody_waits_for_it, &quiet)
{
	struct connecting connecting = {.host = "hold:127.0.0.1+127.0.0.2", .service = "9"};
	struct noria_group group;

	names_use();
	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, connect_it, &connecting) == 0);
	COMES(names.under_way == 1);
	noria_scope_cancel(&connecting.scope);
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	EXPECT_EQ(connecting.result, -ECANCELED);
	EXPECT_EQ(connecting.progress, 0);
	EXPECT_EQ(names.under_way, 1);
	names_release();
	names_settle();
	EXPECT_EQ(told, 0);
	return 0;
}

/* The question for both families hangs, as with a server that loses questions for AAAA: the one for A is enough. */
UNIT_WITH(name_connect, a_lookup_that_takes_long_is_helped_out, &quiet)
{
	int port = 0, listener = names_listen(1, &port), fd;
	struct noria_connect_name_options options = {.delay_ns = noria_msec(1)};

	names_use();
	fd = noria_connect_name("hold6:127.0.0.1+::1", port_text(port), &options);
	MUST(fd >= 0);
	EXPECT_EQ(names_peer(fd), 1);
	EXPECT_EQ(noria_progress(), 1);
	EXPECT(names.asked == 2 || names.asked == 3);
	names_release();
	names_settle();
	EXPECT_EQ(noria_close(fd) | close(listener), 0);
	EXPECT_EQ(told, 0);
	return 0;
}

/* ... and of one family there is nobody to help out; the one question is waited for. */
UNIT_WITH(name_connect, a_lookup_of_one_family_is_asked_once, &quiet)
{
	struct connecting connecting = {.options = {.delay_ns = noria_usec(10), .family = AF_INET6}};
	struct noria_group group;

	names_use();
	start(&group, &connecting, "hold:127.0.0.1", 9);
	COMES(names.under_way == 1);
	for (int i = 0; i < 20; i++) /* long past the time at which help would come */
		MUST(noria_sleep(noria_usec(50)) == 0);
	expire(&group, &connecting);
	EXPECT_EQ(names.asked, 1);
	names_release();
	names_settle();
	return 0;
}

/* Those who help out fail before the main question does: its answer is the one that counts. */
UNIT_WITH(name_connect, helpers_that_fail_change_nothing, &quiet)
{
	struct noria_connect_name_options options = {.delay_ns = noria_usec(10)};
	struct connecting connecting = {.host = "hold6:eai:-3", .service = "9", .options = options};
	struct noria_group group;

	names_use();
	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, connect_it, &connecting) == 0);
	COMES(names.asked == 3);
	MUST(noria_sleep(noria_msec(1)) == 0);
	EXPECT(!connecting.ended);
	names_release();
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	EXPECT_EQ(connecting.result, -EAGAIN);
	EXPECT(strstr(noria_message(), "hold6:eai:-3"));
	EXPECT_EQ(told, 0);
	return 0;
}

/* ---- through a queue of two entries ---- */

static const struct noria_config narrow = {.on_failure = hear, .ring_entries = 2, .ring_entries_max = 2};

UNIT_WITH(name_connect, many_at_once_through_a_narrow_queue, &narrow)
{
	enum { MANY = 24 };
	static struct connecting connecting[MANY];
	int port = 0, listener = names_listen(1, &port), refusing = names_refusing(2, &port);
	const char *service = port_text(port);
	struct noria_group group;

	names_use();
	MUST(noria_group_open(&group) == 0);
	for (int i = 0; i < MANY; i++) {
		connecting[i] = (struct connecting){.host = "127.0.0.2+127.0.0.1", .service = service};
		MUST(noria_spawn(&group, connect_it, &connecting[i]) == 0);
	}
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	for (int i = 0; i < MANY; i++) {
		EXPECT(connecting[i].result >= 0);
		EXPECT_EQ(connecting[i].progress, 2);
		if (connecting[i].result >= 0)
			EXPECT_EQ(noria_close(connecting[i].result), 0);
	}
	EXPECT_EQ(close(listener) | close(refusing), 0);
	return 0;
}
