/* SPDX-License-Identifier: MIT */
/* Each errno for which there is no ring is explained: the cause, and a remedy that names the thing to change. */
#include "ring/ring.h"
#include "unit.h"

static void expect_remedy(int error, int wanted, const char *const *words)
{
	cr_expect_eq(noria_ring_explain(error, 128), wanted, "%s", strerror(-error));
	cr_expect_not_null(strstr(noria_message(), "Remedy: "), "%s: %s", strerror(-error), noria_message());
	for (; *words; words++)
		cr_expect_not_null(strstr(noria_message(), *words), "%s: no `%s` in: %s", strerror(-error), *words,
				   noria_message());
}

#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})

Test(explain, forbidden)
{
	expect_remedy(-EPERM, -EPERM, WORDS("io_uring"));
	expect_remedy(-EACCES, -EACCES, WORDS("io_uring"));
}

Test(explain, absent_or_too_old)
{
	expect_remedy(-ENOSYS, -ENOSYS, WORDS("io_uring", "6.1"));
	expect_remedy(-EINVAL, -ENOSYS, WORDS("too old", "6.1"));
}

Test(explain, locked_memory)
{
	expect_remedy(-ENOMEM, -ENOMEM,
		      WORDS("RLIMIT_MEMLOCK", "ulimit -l", "LimitMEMLOCK", "ring_entries", "128 entries", "KiB"));
}

Test(explain, descriptors)
{
	expect_remedy(-EMFILE, -EMFILE, WORDS("RLIMIT_NOFILE", "ulimit -n", "LimitNOFILE"));
	expect_remedy(-ENFILE, -ENFILE, WORDS("fs.file-max"));
}

Test(explain, anything_else_says_what_failed)
{
	cr_expect_eq(noria_ring_explain(-EIO, 128), -EIO);
	cr_expect_not_null(strstr(noria_message(), "io_uring_setup"));
	cr_expect_not_null(strstr(noria_message(), strerror(EIO)));
}
