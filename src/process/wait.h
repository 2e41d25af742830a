/* SPDX-License-Identifier: MIT */
/* What a siginfo_t of a child says, as a status of waitpid(2). */
#ifndef NORIA_PROCESS_WAIT_H
#define NORIA_PROCESS_WAIT_H

#include <signal.h>
#include <sys/wait.h>

static inline int wait_status(const siginfo_t *info)
{
	switch (info->si_code) {
	case CLD_EXITED:
		return (info->si_status & 0xff) << 8;
	case CLD_KILLED:
		return info->si_status;
	case CLD_DUMPED:
		return info->si_status | 0x80;
	case CLD_CONTINUED:
		return 0xffff;
	default: /* stopped, or trapped */
		return info->si_status << 8 | 0x7f;
	}
}

#endif
