/* SPDX-License-Identifier: MIT */
/* Lines of the access log: complete, and nothing that a client sends can break out of them. */
#include "log.h"
#include "wall.h"

#include <criterion/criterion.h>

static const char *line_of(const char *target)
{
	static char line[2048];
	static const struct wall wall = {.iso = "2025-01-02T03:04:05", .now = {.tv_nsec = 67000000}};
	struct access_entry entry = {.wall = &wall,
				     .id = "abc-1-2",
				     .peer = "127.0.0.1:80",
				     .method = "GET",
				     .target = target,
				     .status = 200,
				     .bytes = 12,
				     .duration_ns = 345678};
	size_t size = access_log_format(line, sizeof line - 1, &entry);
	line[size] = '\0';
	return line;
}

Test(access_log, has_everything_in_one_line)
{
	cr_expect_str_eq(line_of("/a?b=c"),
			 "2025-01-02T03:04:05.067Z abc-1-2 127.0.0.1:80 GET \"/a?b=c\" 200 12 345us\n");
}

Test(access_log, escapes_what_could_forge_a_line)
{
	const char *line = line_of("/\r\n1.2.3.4 GET \"x\\\x1b[31m\xff \x7f");
	cr_expect_not_null(strstr(line, "\"/\\x0d\\x0a1.2.3.4\\x20GET\\x20\\x22x\\x5c\\x1b[31m\\xff\\x20\\x7f\" 200"));
	cr_expect_eq(strchr(line, '\n'), line + strlen(line) - 1);
}

Test(access_log, cuts_long_targets)
{
	char target[9000];
	memset(target, '\n', sizeof target - 1);
	target[sizeof target - 1] = '\0';
	const char *line = line_of(target);
	cr_expect_lt(strlen(line), 1500);
	cr_expect_not_null(strstr(line, "...\" 200 12 345us\n"));
}
