/* SPDX-License-Identifier: MIT */
/*
 * Mode, owner, times, and extended attributes. Each place has a file `f` of "content" with mode 0600 and the attribute
 * user.one = "1"; a file system without attributes is passed over.
 */
#include "file.h"

#include <sys/xattr.h>
#include <time.h>

#define CALL(name, expression) \
	static int64_t name(struct op_place *place) \
	{ \
		(void)place; \
		return (expression); \
	}

static const struct timespec times[2] = {{.tv_sec = 1000, .tv_nsec = 7}, {.tv_sec = 2000, .tv_nsec = 9}};
static const struct timespec bad_times[2] = {{.tv_nsec = -5}, {.tv_nsec = -5}};

static struct stat status_of(const struct op_place *place)
{
	struct stat found;

	MUST(fstat(place->fd, &found) == 0);
	return found;
}

static void is_unchanged(struct op_place *place)
{
	struct stat found = status_of(place);

	EXPECT(found.st_mode == (S_IFREG | 0600) && found.st_uid == getuid() && found.st_mtim.tv_sec > 2000);
}

static void did_chmod(struct op_place *place, int64_t result)
{
	EXPECT_EQ(result, 0);
	EXPECT_EQ(status_of(place).st_mode, S_IFREG | 0640);
}

/* Whoever may, gives it away; whoever may not, keeps it. */
static void did_chown(struct op_place *place, int64_t result)
{
	EXPECT_EQ(result, 0);
	EXPECT_EQ(status_of(place).st_gid, getuid() == 0 ? 7 : getgid());
}

static void did_set_times(struct op_place *place, int64_t result)
{
	struct stat found = status_of(place);

	EXPECT_EQ(result, 0);
	EXPECT(found.st_atim.tv_sec == 1000 && found.st_atim.tv_nsec == 7);
	EXPECT(found.st_mtim.tv_sec == 2000 && found.st_mtim.tv_nsec == 9);
}

static gid_t new_group(void)
{
	return getuid() == 0 ? 7 : getgid();
}

CALL(call_fchmod, noria_fchmod(place->fd, 0640))
CALL(fchmod_closed, noria_fchmod(NOT_OPEN, 0640))
CALL(fchmod_direct, noria_fchmod((1 << 30) + 1, 0640))
CALL(call_fchmodat, noria_fchmodat(place->dir, "f", 0640, 0))
CALL(fchmodat_nowhere, noria_fchmodat(place->dir, "g", 0640, 0))
CALL(fchmodat_flag, noria_fchmodat(place->dir, "f", 0640, AT_SYMLINK_NOFOLLOW))
CALL(call_fchown, noria_fchown(place->fd, (uid_t)-1, new_group()))
CALL(fchown_closed, noria_fchown(NOT_OPEN, (uid_t)-1, new_group()))
CALL(call_fchownat, noria_fchownat(place->dir, "f", (uid_t)-1, new_group(), 0))
CALL(fchownat_nowhere, noria_fchownat(place->dir, "g", (uid_t)-1, new_group(), 0))
CALL(fchownat_flag, noria_fchownat(place->dir, "f", (uid_t)-1, new_group(), 1 << 30))
CALL(call_futimens, noria_futimens(place->fd, times))
CALL(futimens_closed, noria_futimens(NOT_OPEN, times))
CALL(futimens_negative, noria_futimens(AT_FDCWD, times))
CALL(futimens_bad, noria_futimens(place->fd, bad_times))
CALL(call_utimensat, noria_utimensat(place->dir, "f", times, 0))
CALL(utimensat_nowhere, noria_utimensat(place->dir, "g", times, 0))
CALL(utimensat_beneath_file, noria_utimensat(place->dir, "f/g", times, 0))
CALL(utimensat_closed, noria_utimensat(NOT_OPEN, "f", times, 0))
CALL(utimensat_nothing, noria_utimensat(place->dir, NULL, times, 0))

static const struct op_error fchmod_errors[] = {{-EBADF, fchmod_closed}, {-EOPNOTSUPP, fchmod_direct}, {0, NULL}};
static const struct op_error fchmodat_errors[] = {{-ENOENT, fchmodat_nowhere}, {-EOPNOTSUPP, fchmodat_flag}, {0, NULL}};
static const struct op_error fchown_errors[] = {{-EBADF, fchown_closed}, {0, NULL}};
static const struct op_error fchownat_errors[] = {{-ENOENT, fchownat_nowhere}, {-EINVAL, fchownat_flag}, {0, NULL}};
static const struct op_error futimens_errors[] = {
	{-EBADF, futimens_closed}, {-EBADF, futimens_negative}, {-EINVAL, futimens_bad}, {0, NULL}};
static const struct op_error utimensat_errors[] = {{-ENOENT, utimensat_nowhere},
						   {-ENOTDIR, utimensat_beneath_file},
						   {-EBADF, utimensat_closed},
						   {-EINVAL, utimensat_nothing},
						   {0, NULL}};

/* Extended attributes. */

static void open_with_attribute(struct op_place *place, bool ready)
{
	open_file(place, ready);
	MUST(fsetxattr(place->fd, "user.one", "1", 1, 0) == 0);
}

static void did_set(struct op_place *place, int64_t result)
{
	char value[8];

	EXPECT_EQ(result, 0);
	EXPECT_EQ(fgetxattr(place->fd, "user.two", value, sizeof value), 3);
	EXPECT(memcmp(value, "abc", 3) == 0);
}

static void not_set(struct op_place *place)
{
	char value[8];

	EXPECT_EQ(fgetxattr(place->fd, "user.two", value, sizeof value), -1);
}

static void did_get(struct op_place *place, int64_t result)
{
	EXPECT_EQ(result, 1);
	EXPECT_EQ(place->buffer[0], '1');
}

static void nothing_got(struct op_place *place)
{
	EXPECT_EQ(place->buffer[0], 0);
}

static void did_list(struct op_place *place, int64_t result)
{
	EXPECT(memmem(place->buffer, (size_t)result, "user.one", 9) != NULL);
}

static void did_remove(struct op_place *place, int64_t result)
{
	char value[8];

	EXPECT_EQ(result, 0);
	EXPECT_EQ(fgetxattr(place->fd, "user.one", value, sizeof value), -1);
}

static void not_removed(struct op_place *place)
{
	char value[8];

	EXPECT_EQ(fgetxattr(place->fd, "user.one", value, sizeof value), 1);
}

CALL(call_setxattr, noria_setxattr(path_of(place, "f"), "user.two", "abc", 3, XATTR_CREATE))
CALL(call_lsetxattr, noria_lsetxattr(path_of(place, "f"), "user.two", "abc", 3, 0))
CALL(call_fsetxattr, noria_fsetxattr(place->fd, "user.two", "abc", 3, 0))
CALL(call_getxattr, noria_getxattr(path_of(place, "f"), "user.one", place->buffer, 8))
CALL(call_lgetxattr, noria_lgetxattr(path_of(place, "f"), "user.one", place->buffer, 8))
CALL(call_fgetxattr, noria_fgetxattr(place->fd, "user.one", place->buffer, 8))
CALL(call_listxattr, noria_listxattr(path_of(place, "f"), place->buffer, sizeof place->buffer))
CALL(call_llistxattr, noria_llistxattr(path_of(place, "f"), place->buffer, sizeof place->buffer))
CALL(call_flistxattr, noria_flistxattr(place->fd, place->buffer, sizeof place->buffer))
CALL(call_removexattr, noria_removexattr(path_of(place, "f"), "user.one"))
CALL(call_lremovexattr, noria_lremovexattr(path_of(place, "f"), "user.one"))
CALL(call_fremovexattr, noria_fremovexattr(place->fd, "user.one"))
CALL(set_again, noria_setxattr(path_of(place, "f"), "user.one", "2", 1, XATTR_CREATE))
CALL(set_missing, noria_setxattr(path_of(place, "f"), "user.two", "2", 1, XATTR_REPLACE))
CALL(set_nowhere, noria_setxattr(path_of(place, "g"), "user.one", "2", 1, 0))
CALL(lset_nowhere, noria_lsetxattr(path_of(place, "g"), "user.one", "2", 1, 0))
CALL(fset_closed, noria_fsetxattr(NOT_OPEN, "user.one", "2", 1, 0))
CALL(fset_space, noria_fsetxattr(place->fd, "nowhere.one", "2", 1, 0))
CALL(fset_flag, noria_fsetxattr(place->fd, "user.one", "2", 1, 1 << 30))
CALL(fset_huge, noria_fsetxattr(place->fd, "user.one", place->buffer, SIZE_MAX, 0))
CALL(get_missing, noria_getxattr(path_of(place, "f"), "user.two", place->buffer, 8))
CALL(get_nowhere, noria_getxattr(path_of(place, "g"), "user.one", place->buffer, 8))
CALL(lget_missing, noria_lgetxattr(path_of(place, "f"), "user.two", place->buffer, 8))
CALL(fget_closed, noria_fgetxattr(NOT_OPEN, "user.one", place->buffer, 8))
CALL(list_nowhere, noria_listxattr(path_of(place, "g"), place->buffer, 8))
CALL(llist_nowhere, noria_llistxattr(path_of(place, "g"), place->buffer, 8))
CALL(flist_small, noria_flistxattr(place->fd, place->buffer, 3))
CALL(flist_closed, noria_flistxattr(NOT_OPEN, place->buffer, 8))
CALL(remove_missing, noria_removexattr(path_of(place, "f"), "user.two"))
CALL(lremove_missing, noria_lremovexattr(path_of(place, "f"), "user.two"))
CALL(fremove_missing, noria_fremovexattr(place->fd, "user.two"))
CALL(fremove_closed, noria_fremovexattr(NOT_OPEN, "user.one"))

/* An empty buffer asks for the size; one that is too small is refused. */
static int64_t get_small(struct op_place *place)
{
	MUST(fsetxattr(place->fd, "user.one", "long", 4, 0) == 0);
	EXPECT_EQ(noria_getxattr(path_of(place, "f"), "user.one", NULL, 0), 4);
	return noria_getxattr(path_of(place, "f"), "user.one", place->buffer, 2);
}

static const struct op_error setxattr_errors[] = {
	{-EEXIST, set_again}, {-ENODATA, set_missing}, {-ENOENT, set_nowhere}, {0, NULL}};
static const struct op_error lsetxattr_errors[] = {{-ENOENT, lset_nowhere}, {0, NULL}};
static const struct op_error fsetxattr_errors[] = {
	{-EBADF, fset_closed}, {-EOPNOTSUPP, fset_space}, {-EINVAL, fset_flag}, {-E2BIG, fset_huge}, {0, NULL}};
static const struct op_error getxattr_errors[] = {
	{-ENODATA, get_missing}, {-ENOENT, get_nowhere}, {-ERANGE, get_small}, {0, NULL}};
static const struct op_error lgetxattr_errors[] = {{-ENODATA, lget_missing}, {0, NULL}};
static const struct op_error fgetxattr_errors[] = {{-EBADF, fget_closed}, {0, NULL}};
static const struct op_error listxattr_errors[] = {{-ENOENT, list_nowhere}, {0, NULL}};
static const struct op_error llistxattr_errors[] = {{-ENOENT, llist_nowhere}, {0, NULL}};
static const struct op_error flistxattr_errors[] = {{-ERANGE, flist_small}, {-EBADF, flist_closed}, {0, NULL}};
static const struct op_error removexattr_errors[] = {{-ENODATA, remove_missing}, {0, NULL}};
static const struct op_error lremovexattr_errors[] = {{-ENODATA, lremove_missing}, {0, NULL}};
static const struct op_error fremovexattr_errors[] = {{-ENODATA, fremove_missing}, {-EBADF, fremove_closed}, {0, NULL}};

#define CASE(name_, open_, did_, did_not_, offloaded_) \
	{ \
		.name = #name_, .open = open_, .call = call_##name_, .did = did_, .did_not = did_not_, \
		.close = close_file, .errors = name_##_errors, .offloaded = offloaded_ \
	}

static const struct op_case owner_cases[] = {
	CASE(fchmod, open_file, did_chmod, is_unchanged, OPS_ALWAYS_OFFLOADED),
	CASE(fchmodat, open_file, did_chmod, is_unchanged, OPS_ALWAYS_OFFLOADED),
	CASE(fchown, open_file, did_chown, is_unchanged, OPS_ALWAYS_OFFLOADED),
	CASE(fchownat, open_file, did_chown, is_unchanged, OPS_ALWAYS_OFFLOADED),
	CASE(futimens, open_file, did_set_times, is_unchanged, OPS_ALWAYS_OFFLOADED),
	CASE(utimensat, open_file, did_set_times, is_unchanged, OPS_ALWAYS_OFFLOADED),
	{0},
};

static const struct op_case attribute_cases[] = {
	CASE(setxattr, open_with_attribute, did_set, not_set, "xattr"),
	CASE(lsetxattr, open_with_attribute, did_set, not_set, OPS_ALWAYS_OFFLOADED),
	CASE(fsetxattr, open_with_attribute, did_set, not_set, "xattr"),
	CASE(getxattr, open_with_attribute, did_get, nothing_got, "xattr"),
	CASE(lgetxattr, open_with_attribute, did_get, nothing_got, OPS_ALWAYS_OFFLOADED),
	CASE(fgetxattr, open_with_attribute, did_get, nothing_got, "xattr"),
	CASE(listxattr, open_with_attribute, did_list, nothing_got, OPS_ALWAYS_OFFLOADED),
	CASE(llistxattr, open_with_attribute, did_list, nothing_got, OPS_ALWAYS_OFFLOADED),
	CASE(flistxattr, open_with_attribute, did_list, nothing_got, OPS_ALWAYS_OFFLOADED),
	CASE(removexattr, open_with_attribute, did_remove, not_removed, OPS_ALWAYS_OFFLOADED),
	CASE(lremovexattr, open_with_attribute, did_remove, not_removed, OPS_ALWAYS_OFFLOADED),
	CASE(fremovexattr, open_with_attribute, did_remove, not_removed, OPS_ALWAYS_OFFLOADED),
	{0},
};

static const struct op_case no_cases[] = {{0}};

/* /tmp may be a file system without attributes of users. */
static const struct op_case *attributes(void)
{
	char path[] = "/tmp/noria-ops-XXXXXX";
	int fd = mkstemp(path);
	bool has = fd >= 0 && fsetxattr(fd, "user.one", "1", 1, 0) == 0;

	MUST(fd >= 0 && unlink(path) == 0 && close(fd) == 0);
	if (!has)
		fprintf(stderr, "the file system of /tmp has no extended attributes: not tested\n");
	return has ? attribute_cases : no_cases;
}

OPS(file_owner, owner_cases)
OPS(file_xattr, attributes())
