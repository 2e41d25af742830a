/* SPDX-License-Identifier: MIT */
/* Namespaces in which a test may be the whole internet. */
#include "stub.h"

#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static bool write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	bool written = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (fd >= 0)
		close(fd);
	return written;
}

/* Without privileges: be root of a namespace of users that has just this user. */
static bool unshare_all(void)
{
	char map[64];
	uid_t uid = geteuid();
	gid_t gid = getegid();

	if (unshare(CLONE_NEWNS | CLONE_NEWNET) == 0)
		return true;
	if (unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET) < 0 || !write_file("/proc/self/setgroups", "deny"))
		return false;
	snprintf(map, sizeof map, "0 %u 1", (unsigned)uid);
	if (!write_file("/proc/self/uid_map", map))
		return false;
	snprintf(map, sizeof map, "0 %u 1", (unsigned)gid);
	return write_file("/proc/self/gid_map", map);
}

static bool raise_loopback(void)
{
	struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool raised = fd >= 0 && ioctl(fd, SIOCSIFFLAGS, &request) == 0;

	if (fd >= 0)
		close(fd);
	return raised;
}

/* A file of the system, as this process sees it from now on. */
static bool replace(const char *path, const char *text)
{
	char other[] = "/tmp/noria-dns-XXXXXX";
	int fd = mkstemp(other);
	bool replaced = fd >= 0 && write_file(other, text) && chmod(other, 0644) == 0 &&
			mount(other, path, NULL, MS_BIND, NULL) == 0;

	if (fd >= 0) {
		close(fd);
		unlink(other);
	}
	return replaced;
}

bool dns_world_enter(const char *resolv_conf, const char *hosts)
{
	if (unshare_all() && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 && raise_loopback() &&
	    replace("/etc/resolv.conf", resolv_conf) && replace("/etc/hosts", hosts) &&
	    replace("/etc/nsswitch.conf", "hosts: files dns\nservices: files\n"))
		return true;
	perror("no namespaces of one's own here");
	return false;
}
