/* SPDX-License-Identifier: MIT */
/*
 * Why there is no ring, and what to do about it. The kernel gives one errno for several causes; the sysctl, the seccomp
 * state and the limits of the process tell them apart.
 */
#include "base/message.h"
#include "ring/ring.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

/* The number after `prefix` in a file of /proc, or -1. */
static long read_number(const char *path, const char *prefix)
{
	FILE *file = fopen(path, "re");
	char line[256];
	long value = -1;

	if (!file)
		return -1;
	while (fgets(line, sizeof line, file))
		if (strncmp(line, prefix, strlen(prefix)) == 0 && sscanf(line + strlen(prefix), "%ld", &value) == 1)
			break;
	fclose(file);
	return value;
}

static unsigned long long limit(int resource)
{
	struct rlimit limit;

	return getrlimit(resource, &limit) < 0 ? 0 : (unsigned long long)limit.rlim_cur;
}

static int explain_forbidden(int error)
{
	long disabled = read_number("/proc/sys/kernel/io_uring_disabled", "");

	if (disabled == 2)
		return noria_refuse(error, "io_uring is switched off for every process (kernel.io_uring_disabled = 2). "
					   "Remedy: `sysctl kernel.io_uring_disabled=0` as root");
	if (disabled == 1)
		return noria_refuse(error,
				    "io_uring is allowed only for privileged processes and one group "
				    "(kernel.io_uring_disabled = 1). "
				    "Remedy: `sysctl kernel.io_uring_disabled=0`, or put this user into the group that "
				    "kernel.io_uring_group names, or give CAP_SYS_ADMIN");
	if (read_number("/proc/self/status", "Seccomp:") > 0)
		return noria_refuse(
			error,
			"a seccomp filter forbids io_uring, as the default profiles of Docker and containerd do. "
			"Remedy: a profile that allows io_uring_setup, io_uring_enter and io_uring_register "
			"(docker run --security-opt seccomp=PROFILE.json)");
	return noria_refuse(error,
			    "io_uring is forbidden here (%s) by a security module. Remedy: allow this program "
			    "the io_uring class (SELinux: io_uring; AppArmor: io_uring)",
			    strerror(-error));
}

int noria_ring_explain(int error, unsigned entries)
{
	switch (-error) {
	case EPERM:
	case EACCES:
		return explain_forbidden(error);
	case ENOSYS:
		if (read_number("/proc/self/status", "Seccomp:") > 0)
			return noria_refuse(
				error,
				"no io_uring: the kernel is too old (6.1 is needed), or a seccomp filter hides it. "
				"Remedy: a newer kernel, or a seccomp profile that allows io_uring_setup, "
				"io_uring_enter and io_uring_register");
		return noria_refuse(error,
				    "no io_uring, or one that is too old. Remedy: Linux 6.1 or newer, built with "
				    "CONFIG_IO_URING=y");
	case EINVAL:
		return noria_refuse(-ENOSYS, "this kernel's io_uring is too old for noria. Remedy: Linux 6.1 or newer");
	case ENOMEM:
		return noria_refuse(
			error,
			"no memory for a ring of %u entries: the limit of locked memory (RLIMIT_MEMLOCK) is %llu KiB "
			"for all rings of this user. Remedy: raise it (`ulimit -l`, LimitMEMLOCK= in a systemd unit), "
			"or set a smaller ring_entries",
			entries, limit(RLIMIT_MEMLOCK) / 1024);
	case EMFILE:
		return noria_refuse(
			error,
			"no file descriptor left for a ring: this process may have %llu (RLIMIT_NOFILE). Remedy: raise "
			"it (`ulimit -n`, LimitNOFILE= in a systemd unit)",
			limit(RLIMIT_NOFILE));
	case ENFILE:
		return noria_refuse(error, "no file descriptor left in the whole system. Remedy: raise fs.file-max");
	default:
		return noria_refuse(error, "io_uring_setup failed: %s", strerror(-error));
	}
}
