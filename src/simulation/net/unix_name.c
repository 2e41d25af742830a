/* SPDX-License-Identifier: MIT */
/*
 * Names of Unix sockets. One that is a path is a file on the host's disk, so that programs find it there and remove it;
 * whose socket it is says its inode. Abstract names and those of sockets are gone with them, files stay.
 */
#include "simulation/net/unix.h"

#include "simulation/disk/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATH_AT offsetof(struct sockaddr_un, sun_path)

/* A name as a program gives it. */
struct wanted {
	struct sockaddr_un address;
	socklen_t length;
	uint64_t inode;
};

static bool is_abstract(const struct wanted *wanted)
{
	return wanted->address.sun_path[0] == '\0';
}

static int parse(const struct sockaddr *address, socklen_t length, struct wanted *ret_wanted)
{
	*ret_wanted = (struct wanted){.length = length};
	if (length <= PATH_AT || length > sizeof(struct sockaddr_un) || address->sa_family != AF_UNIX)
		return -EINVAL;
	memcpy(&ret_wanted->address, address, length);
	if (!is_abstract(ret_wanted)) /* what lies behind the end of a path does not count */
		ret_wanted->length = (socklen_t)(PATH_AT + strnlen(ret_wanted->address.sun_path, length - PATH_AT) + 1);
	return 0;
}

/* A path that fills the address has no end in it. */
static void path_of(const struct wanted *wanted, char path[sizeof(struct sockaddr_un)])
{
	size_t length = strnlen(wanted->address.sun_path, sizeof wanted->address.sun_path);

	memcpy(path, wanted->address.sun_path, length);
	path[length] = '\0';
}

/* ---- paths ---- */

static int create_path(struct sim_host *host, struct wanted *wanted)
{
	struct open_how how = {.flags = O_CREAT | O_EXCL | O_WRONLY, .mode = 0777};
	char path[sizeof(struct sockaddr_un)];
	struct sim_file *file;
	struct stat status;
	int r;

	path_of(wanted, path);
	r = sim_openat(host, AT_FDCWD, path, &how, &file);
	if (r < 0)
		return r == -EEXIST ? -EADDRINUSE : r;
	r = sim_fstat(file, &status);
	sim_file_unref(file);
	wanted->inode = status.st_ino;
	return r;
}

static int find_path(struct sim_host *host, struct wanted *wanted)
{
	char path[sizeof(struct sockaddr_un)];
	struct stat status;
	int r;

	path_of(wanted, path);
	r = sim_fstatat(host, AT_FDCWD, path, &status, 0);
	if (r >= 0)
		wanted->inode = status.st_ino;
	return r;
}

/* ---- all of them ---- */

static bool is_it(const struct sim_name *name, const struct wanted *wanted)
{
	if (wanted->inode != 0)
		return name->inode == wanted->inode;
	return name->inode == 0 && name->length == wanted->length &&
	       memcmp(&name->address, &wanted->address, wanted->length) == 0;
}

static struct unix_socket *find(const struct sim_host *host, const struct wanted *wanted)
{
	for (struct sim_name *name = host->world->net->names; name; name = name->next)
		if (name->socket && name->host == host && is_it(name, wanted))
			return name->socket;
	return NULL;
}

static int add(struct unix_socket *sock, const struct wanted *wanted)
{
	struct sim_net *net = sim_net_of(&sock->socket);
	struct sim_name *name = calloc(1, sizeof *name);

	if (!name)
		return -ENOMEM;
	name->socket = sock;
	name->host = sock->socket.file.host;
	name->inode = wanted->inode;
	name->address = wanted->address;
	name->length = wanted->length;
	name->references = 1;
	name->next = net->names;
	net->names = name;
	sock->name = name;
	return 0;
}

/* A name that nobody has: five digits, as Linux chooses it. */
static int choose(struct unix_socket *sock)
{
	struct wanted wanted = {.address.sun_family = AF_UNIX, .length = PATH_AT + 6};
	struct sim_net *net = sim_net_of(&sock->socket);

	do
		snprintf(wanted.address.sun_path + 1, 6, "%05x", net->unnamed++ & 0xfffff);
	while (find(sock->socket.file.host, &wanted));
	return add(sock, &wanted);
}

int unix_name_bind(struct unix_socket *sock, const struct sockaddr *address, socklen_t length)
{
	struct sim_host *host = sock->socket.file.host;
	struct wanted wanted;
	int r;

	if (sock->name)
		return -EINVAL;
	if (length == sizeof(sa_family_t) && address->sa_family == AF_UNIX)
		return choose(sock);
	r = parse(address, length, &wanted);
	if (r < 0)
		return r;
	if (is_abstract(&wanted))
		r = find(host, &wanted) ? -EADDRINUSE : 0;
	else
		r = create_path(host, &wanted);
	return r < 0 ? r : add(sock, &wanted);
}

int unix_name_find(struct unix_socket *sock, const struct sockaddr *address, socklen_t length,
		   struct unix_socket **ret_socket)
{
	struct sim_host *host = sock->socket.file.host;
	struct unix_socket *found;
	struct wanted wanted;
	int r = parse(address, length, &wanted);

	if (r >= 0 && !is_abstract(&wanted))
		r = find_path(host, &wanted);
	if (r < 0)
		return r;
	found = find(host, &wanted);
	if (!found)
		return -ECONNREFUSED;
	if (found->socket.type != sock->socket.type)
		return -EPROTOTYPE;
	*ret_socket = found;
	return 0;
}

void sim_name_unref(struct sim_net *net, struct sim_name *name)
{
	struct sim_name **place = &net->names;

	if (--name->references > 0)
		return;
	while (*place != name)
		place = &(*place)->next;
	*place = name->next;
	free(name);
}

void unix_name_leave(struct unix_socket *sock)
{
	if (sock->name)
		sock->name->socket = NULL;
}

void unix_name_print(const struct sim_name *name, struct sockaddr *address, socklen_t *length)
{
	static const sa_family_t none = AF_UNIX;

	if (name)
		sim_sockaddr_copy(&name->address, name->length, address, length);
	else
		sim_sockaddr_copy(&none, sizeof none, address, length);
}
