/* SPDX-License-Identifier: MIT */
/*
 * A resolver for tests, which answers by what is asked:
 *
 *   127.0.0.1+::1+...   these addresses, in this order, of the family that was asked for
 *   eai:N               the error N; EAI_SYSTEM comes with EMFILE
 *   hold:REST           once names_release() was called; then as REST
 *   hold6:REST          the same, but a question for IPv4 alone is answered at once
 *
 * and counts what it was asked.
 */
#ifndef NORIA_TESTS_UNIT_NAME_H
#define NORIA_TESTS_UNIT_NAME_H

#include "unit.h"

#include <netinet/in.h>
#include <stdatomic.h>

/* Until threads have come so far, which takes as long as it takes. */
#define COMES(condition) \
	do { \
		for (int naps_ = 0; !(condition) && naps_ < 600000; naps_++) \
			MUST(noria_sleep(noria_usec(50)) == 0); \
		MUST(condition); \
	} while (0)

#define EXPECT_STR(actual, wanted) \
	do { \
		const char *actual_ = (actual); \
		cr_expect_str_eq(actual_, wanted, "%s is \"%s\"", #actual, actual_); \
	} while (0)

struct names {
	atomic_int asked;     /* calls so far */
	atomic_int under_way; /* now */
	atomic_int most;      /* at once */
	atomic_bool released;
};

extern struct names names;

/* This resolver is asked from now on; the counts are zero. */
void names_use(void);
void names_release(void);
/* No thread is inside it any more. */
void names_settle(void);

/* A listening socket at 127.0.0.x, on a port that is free there (0), or that one; closes with close(). */
int names_listen(int x, int *port);
/* One that answers nobody: more than may wait are waiting. `crowd` is to be closed too. */
enum { NAMES_CROWD = 4 };
int names_deaf(int x, int *port, int crowd[NAMES_CROWD]);
/* A port at which nobody listens on 127.0.0.x; the socket that holds it. */
int names_refusing(int x, int *port);
/* The last byte of the address that a socket is connected to. */
int names_peer(int fd);
bool names_have_ipv6(void);

#endif
