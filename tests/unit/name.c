/* SPDX-License-Identifier: MIT */
/* Lookups: what they answer, on which threads, and what becomes of those whose caller has gone. */
#include "name.h"
#include "task/loop.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <unistd.h>

static const struct addrinfo stream = {.ai_socktype = SOCK_STREAM};

/* The addresses of a list, as one text. */
static const char *text_of(const struct addrinfo *list)
{
	static char text[512];
	size_t used = 0;

	text[0] = '\0';
	for (; list; list = list->ai_next) {
		char host[NI_MAXHOST], port[NI_MAXSERV];

		MUST(getnameinfo(list->ai_addr, list->ai_addrlen, host, sizeof host, port, sizeof port,
				 NI_NUMERICHOST | NI_NUMERICSERV) == 0);
		used += (size_t)snprintf(text + used, sizeof text - used, "%s%s/%s", used ? " " : "", host, port);
		MUST(used < sizeof text);
	}
	return text;
}

UNIT(name, numbers_are_not_looked_up)
{
	struct addrinfo *list = NULL, passive = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};

	names_use();
	EXPECT_EQ(noria_getaddrinfo("127.0.0.9", "80", &stream, &list), 0);
	EXPECT_STR(text_of(list), "127.0.0.9/80");
	EXPECT_EQ(list->ai_socktype, SOCK_STREAM);
	freeaddrinfo(list);
	EXPECT_EQ(noria_getaddrinfo("::1", NULL, &stream, &list), 0);
	EXPECT_STR(text_of(list), "::1/0");
	freeaddrinfo(list);
	passive.ai_family = AF_INET;
	EXPECT_EQ(noria_getaddrinfo(NULL, "80", &passive, &list), 0);
	EXPECT_STR(text_of(list), "0.0.0.0/80");
	freeaddrinfo(list);
	EXPECT_EQ(names.asked, 0);
	EXPECT_EQ(noria_getaddrinfo("127.0.0.9", "80", NULL, &list), 0);
	EXPECT(list && list->ai_next); /* without hints there is one for each type of socket */
	freeaddrinfo(list);
	EXPECT_EQ(names.asked, 0);
	return 0;
}

UNIT(name, names_are_looked_up_in_the_order_of_the_resolver)
{
	struct addrinfo *list = NULL;

	names_use();
	EXPECT_EQ(noria_getaddrinfo("127.0.0.2+127.0.0.1", "80", &stream, &list), 0);
	EXPECT_STR(text_of(list), "127.0.0.2/80 127.0.0.1/80");
	EXPECT_EQ(names.asked, 1);
	freeaddrinfo(list);
	return 0;
}

/* /etc/services is asked on a thread too. The service of this name and port is in every such file. */
UNIT(name, the_system_is_asked)
{
	struct addrinfo *list = NULL;

	EXPECT_EQ(noria_getaddrinfo("127.0.0.1", "http", &stream, &list), 0);
	EXPECT_STR(text_of(list), "127.0.0.1/80");
	freeaddrinfo(list);
	return 0;
}

UNIT(name, each_error_of_the_resolver)
{
	static const struct {
		int eai, error;
	} cases[] = {
		{EAI_NONAME, -ENOENT},
		{EAI_NODATA, -ENOENT},
		{EAI_ADDRFAMILY, -ENOENT},
		{EAI_AGAIN, -EAGAIN},
		{EAI_FAIL, -EREMOTEIO},
		{EAI_SERVICE, -EPROTONOSUPPORT},
		{EAI_FAMILY, -EAFNOSUPPORT},
		{EAI_SOCKTYPE, -ESOCKTNOSUPPORT},
		{EAI_BADFLAGS, -EINVAL},
		{EAI_MEMORY, -ENOMEM},
		{EAI_OVERFLOW, -EIO},
		{EAI_SYSTEM, -EMFILE},
		{-9999, -EIO},
	};

	names_use();
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct addrinfo *list = (void *)&cases, *before = list;
		const struct noria_failure *failure;
		char host[32];

		snprintf(host, sizeof host, "eai:%d", cases[i].eai);
		EXPECT_EQ(noria_getaddrinfo(host, "http", &stream, &list), cases[i].error);
		EXPECT(list == before);
		EXPECT(strstr(noria_message(), host) && strstr(noria_message(), "http"));
		EXPECT(strstr(noria_message(),
			      cases[i].eai == EAI_SYSTEM ? strerror(EMFILE) : gai_strerror(cases[i].eai)));
		failure = noria_last_failure();
		EXPECT(failure && failure->code == cases[i].error && strstr(failure->text, host));
	}
	EXPECT_EQ(noria_check(), 0);
	return 0;
}

UNIT(name, what_cannot_be_meant_is_refused)
{
	struct addrinfo *list = NULL, odd = {.ai_family = AF_UNIX}, v4 = {.ai_family = AF_INET};

	names_use();
	EXPECT_EQ(noria_getaddrinfo(NULL, NULL, &stream, &list), -EINVAL);
	EXPECT_EQ(noria_getaddrinfo("127.0.0.1", "65536", &stream, &list), -EINVAL);
	EXPECT_EQ(noria_getaddrinfo("somebody", "99999999999999999999", &stream, &list), -EINVAL);
	EXPECT(strstr(noria_message(), "from 0 to 65535"));
	EXPECT_EQ(noria_getaddrinfo("127.0.0.1", "65535", &stream, &list), 0);
	freeaddrinfo(list);
	EXPECT_EQ(noria_getaddrinfo("127.0.0.1", "80", &odd, &list), -EAFNOSUPPORT);
	EXPECT_EQ(noria_getaddrinfo("::1", "80", &v4, &list), -ENOENT);
	EXPECT_EQ(names.asked, 0);
	return 0;
}

/* ---- cancelled, and timed out ---- */

struct looking_up {
	char host[64];
	struct noria_scope scope;
	struct addrinfo *list;
	bool begun;
	int result, next;
};

static int look_it_up(void *arg)
{
	struct looking_up *looking = arg;

	MUST(noria_scope_open(&looking->scope, NORIA_FOREVER, 0) == 0);
	looking->begun = true;
	looking->result = noria_getaddrinfo(looking->host, "80", &stream, &looking->list);
	looking->next = noria_check();
	memset(looking->host, 'x', sizeof looking->host - 1); /* whoever still reads it sees that it is gone */
	return (int)noria_scope_close(&looking->scope, 0);
}

UNIT(name, cancelled_before_nobody_is_asked)
{
	struct addrinfo *list = NULL;
	struct noria_scope scope;

	names_use();
	MUST(noria_scope_open(&scope, NORIA_FOREVER, 0) == 0);
	noria_scope_cancel(&scope);
	EXPECT_EQ(noria_getaddrinfo("127.0.0.1", "80", &stream, &list), -ECANCELED);
	EXPECT_EQ(noria_getaddrinfo("127.0.0.1+127.0.0.2", "80", &stream, &list), -ECANCELED);
	EXPECT(!list);
	EXPECT_EQ(names.asked, 0);
	EXPECT_EQ(noria_scope_close(&scope, 0), 0);
	return 0;
}

/* X01: what the thread reads is its own, and what it finds is freed: AddressSanitizer would tell. */
UNIT(name, X01_cancelled_while_it_runs_it_is_left_behind)
{
	struct looking_up looking = {.host = "hold:127.0.0.1+127.0.0.2"};
	struct noria_group group;

	names_use();
	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, look_it_up, &looking) == 0);
	COMES(names.under_way == 1);
	noria_scope_cancel(&looking.scope);
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	EXPECT_EQ(looking.result, -ECANCELED);
	EXPECT_EQ(looking.next, -ECANCELED);
	EXPECT(!looking.list);
	EXPECT_EQ(names.under_way, 1);
	names_release();
	names_settle();
	return 0;
}

/* R01: it was answered, and cancelled before its task could run. */
UNIT(name, R01_an_answer_that_is_there_is_delivered)
{
	struct looking_up looking = {.host = "hold:127.0.0.1+127.0.0.2"};
	struct noria_group group;

	names_use();
	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, look_it_up, &looking) == 0);
	COMES(names.under_way == 1);
	names_release();
	names_settle();
	for (int i = 0; i < 100000 && !atomic_load(&noria_loop->remotes); i++)
		usleep(100); /* the loop sleeps with its thread, so the answer that is posted stays where it is */
	MUST(atomic_load(&noria_loop->remotes));
	noria_scope_cancel(&looking.scope);
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	MUST(looking.result == 0);
	EXPECT_EQ(looking.next, -ECANCELED);
	EXPECT_STR(text_of(looking.list), "127.0.0.1/80 127.0.0.2/80");
	freeaddrinfo(looking.list);
	return 0;
}

UNIT(name, a_limit_fires_and_does_not_fire)
{
	struct addrinfo *list = NULL;

	names_use();
	EXPECT_EQ(noria_within(noria_msec(2), noria_getaddrinfo("hold:127.0.0.1", "80", &stream, &list)), -ETIMEDOUT);
	EXPECT(!list);
	EXPECT_EQ(noria_check(), 0);
	names_release();
	EXPECT_EQ(noria_within(noria_sec(50), noria_getaddrinfo("hold:127.0.0.1", "80", &stream, &list)), 0);
	EXPECT_STR(text_of(list), "127.0.0.1/80");
	freeaddrinfo(list);
	names_settle();
	return 0;
}

/* ---- bounds ---- */

enum { MANY = 12 };

static void start_many(struct noria_group *group, struct looking_up *looking)
{
	for (int i = 0; i < MANY; i++) {
		looking[i] = (struct looking_up){.host = "hold:127.0.0.1"};
		MUST(noria_spawn(group, look_it_up, &looking[i]) == 0);
	}
}

static const struct noria_config two_threads = {.names_threads = 2, .executor_threads = 1, .ring_entries = 2};

static int nothing(void *arg)
{
	(void)arg;
	return 7;
}

/* X04, X05: no more at once than the configuration says, and the others' threads stay free. */
UNIT_WITH(name, X05_lookups_are_bounded_and_hold_up_nobody_else, &two_threads)
{
	static struct looking_up looking[MANY];
	struct noria_group group;

	names_use();
	MUST(noria_group_open(&group) == 0);
	start_many(&group, looking);
	COMES(names.under_way == 2);
	EXPECT_EQ(noria_offload(nothing, NULL), 7);
	EXPECT_EQ(names.under_way, 2);
	names_release();
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	EXPECT_EQ(names.most, 2);
	EXPECT_EQ(names.asked, MANY);
	for (int i = 0; i < MANY; i++) {
		EXPECT_EQ(looking[i].result, 0);
		freeaddrinfo(looking[i].list);
	}
	return 0;
}

/* X01: what waits for a thread, and is cancelled, is never asked. */
UNIT_WITH(name, X01_cancelled_in_the_queue_it_is_never_asked, &two_threads)
{
	static struct looking_up looking[MANY];
	struct noria_group group;

	names_use();
	MUST(noria_group_open(&group) == 0);
	start_many(&group, looking);
	COMES(names.under_way == 2);
	noria_group_cancel(&group);
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	names_release();
	names_settle();
	EXPECT_EQ(names.asked, 2);
	for (int i = 0; i < MANY; i++)
		EXPECT_EQ(looking[i].result, -ECANCELED);
	return 0;
}

static int leave_behind(void *arg)
{
	struct looking_up looking = {.host = "hold:127.0.0.1"};
	struct noria_group group;

	(void)arg;
	MUST(noria_group_open(&group) == 0);
	MUST(noria_spawn(&group, look_it_up, &looking) == 0);
	COMES(names.under_way == 1);
	noria_scope_cancel(&looking.scope);
	EXPECT_EQ(noria_group_close(&group, 0), 0);
	return 0;
}

/* X03: the run has ended before the lookup does. */
Test(name, X03_a_lookup_may_outlast_its_run, .timeout = 100)
{
	names_use();
	cr_expect_eq(noria_run(NULL, leave_behind, NULL), 0);
	cr_expect_eq(names.under_way, 1);
	names_release();
	names_settle();
	usleep(20000); /* its thread frees what it found */
}
