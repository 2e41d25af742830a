/* SPDX-License-Identifier: MIT */
/*
 * A name server for tests and benchmarks, in a world of its own: a network namespace with nothing but loopback, and a
 * mount namespace in which the system's resolver is told to ask 127.0.0.1. No packet leaves the machine, no file of
 * the system changes. What a name answers is written in its labels, from left to right, as far as they are known:
 *
 *   d20        both answers come after 20 ms
 *   no4 no6    there is no A, no AAAA record
 *   lost4 lost6 lost   a question for A, for AAAA, any question gets no answer
 *   nx fail refused    NXDOMAIN, SERVFAIL, REFUSED
 *   many       three records of each kind
 *
 * `d20.no6.example.test` thus answers after 20 ms, with an A record only. The addresses are 127.0.0.1 and ::1, and
 * 127.0.0.2, ::2 and so on.
 */
#ifndef NORIA_TESTS_DNS_STUB_H
#define NORIA_TESTS_DNS_STUB_H

#include <stdbool.h>
#include <sys/types.h>

/*
 * Go into such a world, with the calling process; it must have one thread only. Returns false where that is forbidden,
 * and says why on standard error.
 */
bool dns_world_enter(const char *resolv_conf, const char *hosts);

/* Start the server in a process of its own, which ends with this one. It serves when this returns. */
pid_t dns_stub_start(void);
void dns_stub_stop(pid_t stub);

#endif
