/* SPDX-License-Identifier: MIT */
/* Targets: decoded once, normalised, and never a name that climbs or that the file system would read differently. */
#include "path.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

struct expectation {
	const char *target, *name, *query;
	bool directory;
};

static const struct expectation good[] = {
	{"/", ".", "", true},
	{"//", ".", "", true},
	{"/a", "a", "", false},
	{"/a/", "a", "", true},
	{"/a/b.html?x=1&y=%2e", "a/b.html", "?x=1&y=%2e", false},
	{"/a//b///c", "a/b/c", "", false},
	{"/./a/./b/.", "a/b", "", true},
	{"/a/../b", "b", "", false},
	{"/a/b/..", "a", "", true},
	{"/a/b/../../c/", "c", "", true},
	{"/a/..", ".", "", true},
	{"/%61%62", "ab", "", false},
	{"/a%20b", "a b", "", false},
	{"/a/%2e%2e/b", "b", "", false},
	{"/a/.%2E/b", "b", "", false},
	{"/%252e%252e/x", "%2e%2e/x", "", false},
	{"/..%5cx", "..\\x", "", false},
	{"/...", "...", "", false},
	{"/%c0%ae%c0%ae/x", "\xc0\xae\xc0\xae/x", "", false},
	{"/a#fragment", "a", "", false},
	{"/?/../..", ".", "?/../..", true},
	{"http://host", ".", "", true},
	{"http://host:80/a?b", "a", "?b", false},
	{"HTTPS://user@host/a/", "a", "", true},
	{"http://host?q", ".", "?q", true},
	{"//evil.example/x", "evil.example/x", "", false},
};

Test(path, decodes_and_normalises)
{
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		const struct expectation *e = &good[i];
		char name[64];
		struct path path;
		cr_assert_eq(path_decode(e->target, name, &path), 0, "%s", e->target);
		cr_expect_str_eq(path.name, e->name, "%s", e->target);
		cr_expect_str_eq(path.query, e->query, "%s", e->target);
		cr_expect_eq(path.directory, e->directory, "%s", e->target);
	}
}

Test(path, refuses_what_climbs_out_or_is_no_path)
{
	static const char *const bad[] = {
		"",          "*",        "a",       "host:80", "ftp://h/", "http://",    "http:///a",   "/..", "/../",
		"/../a",     "/a/../..", "/%2e%2e", "/%2E./x", "/.%2e/x",  "/a/../../b", "/%",          "/%1", "/%g0",
		"/a%00.txt", "/%00",     "/%0",     "/%%2e",   "/./../x",  "//../x",     "http://h/..",
	};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		char name[64];
		struct path path = {0};
		cr_expect_eq(path_decode(bad[i], name, &path), 400, "%s", bad[i]);
		cr_expect_null(path.name, "untouched on failure: %s", bad[i]);
	}
}

Test(path, an_encoded_slash_names_nothing)
{
	char name[64];
	struct path path;
	cr_expect_eq(path_decode("/a%2fb", name, &path), 404);
	cr_expect_eq(path_decode("/..%2f..%2fetc%2fpasswd", name, &path), 404);
}

/* Whatever comes in, a name that comes out has no component that the kernel would take for more than a name. */
Test(path, never_lets_dots_through)
{
	static const char alphabet[] = "/.%2eEfF5c0a?\\";
	unsigned seed = 1;
	for (int round = 0; round < 200000; round++) {
		char target[24] = "/", name[sizeof target + 2];
		struct path path;
		size_t size = 1 + (size_t)rand_r(&seed) % (sizeof target - 2);
		for (size_t i = 1; i < size; i++)
			target[i] = alphabet[(size_t)rand_r(&seed) % (sizeof alphabet - 1)];
		if (path_decode(target, name, &path) != 0 || strcmp(path.name, ".") == 0)
			continue;
		char framed[sizeof name + 2];
		snprintf(framed, sizeof framed, "/%s/", path.name);
		cr_assert(strlen(path.name) < sizeof target);
		cr_assert_null(strstr(framed, "/../"), "%s gave %s", target, path.name);
		cr_assert_null(strstr(framed, "/./"), "%s gave %s", target, path.name);
		cr_assert_null(strstr(framed, "//"), "%s gave %s", target, path.name);
	}
}

Test(path, dot_files_are_hidden_but_well_known)
{
	cr_expect_not(path_hidden("."));
	cr_expect_not(path_hidden("a/b.c"));
	cr_expect_not(path_hidden(".well-known"));
	cr_expect_not(path_hidden(".well-known/acme-challenge/x"));
	cr_expect(path_hidden(".git"));
	cr_expect(path_hidden("a/.git/config"));
	cr_expect(path_hidden(".well-known/.secret"));
	cr_expect(path_hidden(".well-knownx"));
	cr_expect(path_hidden("a/.well-known"));
}

Test(path, encodes_for_a_header_and_an_attribute)
{
	char buffer[128];
	struct text text = text_on(buffer, sizeof buffer - 1);
	path_encode(&text, "a b/c\"<>&'\r\n:\xff?#%");
	*text.at = '\0';
	cr_expect_str_eq(buffer, "a%20b/c%22%3C%3E%26%27%0D%0A%3A%FF%3F%23%25");
}
