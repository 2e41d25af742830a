/* SPDX-License-Identifier: MIT */
/*
 * The same program of entries, on the kernel's ring and on the simulated one. What may be observed of it is written
 * down: for each entry, by the name that the program gave it, its completions in their order, and whatever the program
 * says of the bytes that it saw. The order of completions of different entries is not promised, so it is not compared.
 */
#ifndef NORIA_TESTS_SIMULATION_RIG_H
#define NORIA_TESTS_SIMULATION_RIG_H

#include "ring/ring.h"

#include <liburing.h>
#include <stdbool.h>
#include <stdint.h>

enum { RIG_TAGS = 64, RIG_TEXT = 4096, RIG_DONE = 1 << 16 };

struct rig {
	struct ring *ring;
	bool simulated;
	const char *names[RIG_TAGS];
	bool makes_fd[RIG_TAGS], only_total[RIG_TAGS];
	int64_t totals[RIG_TAGS];
	int completions[RIG_TAGS], ended[RIG_TAGS]; /* so far; those without F_MORE */
	int32_t results[RIG_TAGS];                  /* the last */
	uint32_t flags[RIG_TAGS];
	char seen[RIG_TAGS][512];
	unsigned tags;
	char said[RIG_TEXT];
};

struct scenario {
	const char *name;
	void (*play)(struct rig *rig);
	unsigned needs; /* a feature of the kernel, or RIG_ANY */
};

enum { RIG_ANY = FEATURE_COUNT };

/* The next entry, cleared; its completions are told under this name. Returns its tag through `ret_tag` unless NULL. */
struct io_uring_sqe *rig_entry(struct rig *rig, const char *name, unsigned *ret_tag);
/* The result is a descriptor: which number is not compared. */
void rig_makes_fd(struct rig *rig, unsigned tag);
/* How its bytes are divided among its completions is not promised. */
void rig_only_total(struct rig *rig, unsigned tag);
/* To liburing's prepare functions, which set user_data to 0. */
void rig_tag(struct io_uring_sqe *sqe, unsigned tag);
/* Submit, and wait until this entry has had its last completion. Returns the result; fails the program after 2 s. */
int32_t rig_wait(struct rig *rig, unsigned tag);
/* Until it has had so many completions. */
void rig_wait_for(struct rig *rig, unsigned tag, int completions);
/* Submit, and see what there is within this time. */
void rig_settle(struct rig *rig, int64_t ns);
__attribute__((format(printf, 2, 3))) void rig_say(struct rig *rig, const char *format, ...);

/* Short forms of one entry, awaited. */
#define rig_do(rig, name, prepare, ...) \
	(__extension__({ \
		unsigned tag_; \
		struct io_uring_sqe *sqe_ = rig_entry(rig, name, &tag_); \
		prepare(sqe_, ##__VA_ARGS__); \
		rig_tag(sqe_, tag_); \
		rig_wait(rig, tag_); \
	}))
/* One entry, not awaited. Value: its tag. */
#define rig_put(rig, name, flags_, prepare, ...) \
	(__extension__({ \
		unsigned tag_; \
		struct io_uring_sqe *sqe_ = rig_entry(rig, name, &tag_); \
		prepare(sqe_, ##__VA_ARGS__); \
		sqe_->flags |= (flags_); \
		rig_tag(sqe_, tag_); \
		tag_; \
	}))
/* The same, whose result is a descriptor. */
#define rig_fd(rig, name, prepare, ...) \
	(__extension__({ \
		unsigned fd_tag_ = rig_put(rig, name, 0, prepare, ##__VA_ARGS__); \
		rig_makes_fd(rig, fd_tag_); \
		rig_wait(rig, fd_tag_); \
	}))

/* Two connected stream sockets (AF_UNIX); over TCP; a pipe. */
void rig_pair(struct rig *rig, int pair[2]);
void rig_tcp_pair(struct rig *rig, int pair[2]);
void rig_pipe(struct rig *rig, int pair[2]);
/* A TCP socket that listens on loopback; a UDP socket. */
int rig_listener(struct rig *rig, void *ret_address);
int rig_udp(struct rig *rig, void *ret_address);
void rig_close(struct rig *rig, int fd);

extern const struct scenario basic_scenarios[], socket_scenarios[], stream_scenarios[], file_scenarios[];

#endif
