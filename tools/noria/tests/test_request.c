/* SPDX-License-Identifier: MIT */
/* Requests, fed whole and in every smaller piece: what is understood, what is refused, where each one ends. */
#include "request.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

static const struct request_limits limits = {.header = 1024, .target = 128, .body = 64};
static char text[4096];

/* Feed up to the end of one request, `piece` bytes at a time. Returns: how many bytes it took. */
static size_t feed(struct request *request, const char *bytes, size_t size, size_t piece)
{
	size_t at = 0;
	request_begin(request, &limits, text, request_text_room(&limits));
	while (at < size && request->state != REQUEST_DONE) {
		/* A copy of exactly that size, so that a sanitizer sees a read beyond it. */
		size_t part = size - at < piece ? size - at : piece;
		char *copy = malloc(part);
		memcpy(copy, bytes + at, part);
		size_t used = request_feed(request, copy, part);
		free(copy);
		cr_assert_leq(used, part);
		cr_assert(used == part || request->state == REQUEST_DONE || request->state == REQUEST_CONTINUE);
		at += used;
	}
	return at;
}

struct expectation {
	const char *bytes;
	int status;
	bool keep_alive;
};

static void expect_all(const struct expectation *expectations, size_t count)
{
	for (size_t i = 0; i < count; i++)
		for (size_t piece = 1; piece < 200; piece += piece < 8 ? 1 : 61) {
			const struct expectation *e = &expectations[i];
			struct request request;
			feed(&request, e->bytes, strlen(e->bytes), piece);
			cr_expect_eq(request.state, REQUEST_DONE, "%s by %zu", e->bytes, piece);
			cr_expect_eq(request.status, e->status, "%s by %zu: %d", e->bytes, piece, request.status);
			cr_expect_eq(request.keep_alive, e->keep_alive, "%s by %zu", e->bytes, piece);
		}
}

#define EXPECT_ALL(array) expect_all(array, sizeof(array) / sizeof *(array))

Test(request, well_formed)
{
	static const struct expectation good[] = {
		{"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 0, true},
		{"GET / HTTP/1.1\r\nHost:\r\n\r\n", 0, true},
		{"\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n", 0, true},
		{"HEAD / HTTP/1.1\r\nHost: [::1]:80\r\nConnection: close\r\n\r\n", 0, false},
		{"GET / HTTP/1.0\r\n\r\n", 0, false},
		{"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", 0, true},
		{"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello", 0, true},
		{"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", 0, true},
		{"GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n", 0, true},
		{"CONNECT x:80 HTTP/1.1\r\nHost: x\r\n\r\n", 0, false},
	};
	EXPECT_ALL(good);
}

Test(request, malformed_or_ambiguous)
{
	static const struct expectation bad[] = {
		{"GET / HTTP/1.1\r\n\r\n", 400, false},
		{"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400, false},
		{"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400, false},
		{"GET / HTTP/1.1\nHost: x\n\n", 400, false},
		{"GET / HTTP/1.1\r\nHost : x\r\n\r\n", 400, false},
		{"GET / HTTP/1.1\r\nHost: x\r\n folded: y\r\n\r\n", 400, false},
		{"GET / HTTP/1.1\r\nHost: x\r\nbad header: y\r\n\r\n", 400, false},
		{"GET / HTTP/1.1\r\nHost: x\r\nX: \x01\r\n\r\n", 400, false},
		{"GET /a b HTTP/1.1\r\nHost: x\r\n\r\n", 400, false},
		{"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", 400, false},
		{"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n", 400, false},
		{"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", 400, false},
		{"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n", 400, false},
		{"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 5x\r\n\r\n", 400, false},
		{"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999999\r\n\r\n", 400, false},
		{"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, gzip\r\n\r\n", 400, false},
		{"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", 400, false},
		{"GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, false},
		{"GET / HTTP/2.0\r\nHost: x\r\n\r\n", 505, false},
		{"GET / HTTP/7.3\r\nHost: x\r\n\r\n", 505, false},
		{"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, false},
		{"\x16\x03\x01\x02\x00\x01\x00\x01\xfc", 400, false},
		{"get / HTTP/1.1\r\nHost: x\r\n\r\n", 400, false},
		{"GET / HTTP/1.1\r\nHost: x\r\nExpect: miracle\r\nContent-Length: 5\r\n\r\nhello", 417, false},
	};
	EXPECT_ALL(bad);
}

Test(request, an_unknown_method_is_not_implemented)
{
	struct request request;
	static const char brew[] = "BREW /pot HTTP/1.1\r\nHost: x\r\n\r\n";
	feed(&request, brew, sizeof brew - 1, sizeof brew);
	cr_expect_eq(request.status, 501);
}

Test(request, ends_where_it_ends)
{
	static const char two[] =
		"GET /1 HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nabGET /2 HTTP/1.1\r\nHost: x\r\n\r\n";
	for (size_t piece = 1; piece <= sizeof two; piece++) {
		struct request request;
		size_t first = feed(&request, two, sizeof two - 1, piece);
		cr_assert_str_eq(request_target(&request), "/1");
		cr_assert_eq(request.body_size, 2);
		size_t second = feed(&request, two + first, sizeof two - 1 - first, piece);
		cr_assert_str_eq(request_target(&request), "/2");
		cr_assert_eq(first + second, sizeof two - 1);
	}
}

Test(request, keeps_headers_trimmed_and_joined)
{
	static const char bytes[] =
		"GET / HTTP/1.1\r\nhOsT: \t x \t\r\nIf-None-Match: \"a\"\r\nX-Other: 1\r\nIF-NONE-MATCH:\"b\"  \r\n"
		"Range-Ish: no\r\nA-header-with-a-name-longer-than-any-known: 1\r\n\r\n";
	for (size_t piece = 1; piece <= sizeof bytes; piece++) {
		struct request request;
		feed(&request, bytes, sizeof bytes - 1, piece);
		cr_assert_str_eq(request_header(&request, REQUEST_HOST), "x");
		cr_assert_str_eq(request_header(&request, REQUEST_IF_NONE_MATCH), "\"a\", \"b\"");
		cr_assert_null(request_header(&request, REQUEST_RANGE));
	}
}

Test(request, trailers_are_not_headers)
{
	static const char bytes[] =
		"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nRange: bytes=0-1\r\n\r\n";
	struct request request;
	feed(&request, bytes, sizeof bytes - 1, 7);
	cr_expect_eq(request.status, 0);
	cr_expect_null(request_header(&request, REQUEST_RANGE));
}

Test(request, waits_for_continue_only_if_asked)
{
	static const char bytes[] = "GET / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n";
	struct request request;
	feed(&request, bytes, sizeof bytes - 1, sizeof bytes);
	cr_expect_eq(request.state, REQUEST_CONTINUE);
	cr_expect_eq(request_feed(&request, "abcGET", 6), 3);
	cr_expect_eq(request.state, REQUEST_DONE);
	cr_expect(request.keep_alive);
}

Test(request, an_upload_that_is_refused_is_not_invited)
{
	static const char bytes[] = "PUT / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n";
	struct request request;
	feed(&request, bytes, sizeof bytes - 1, sizeof bytes);
	cr_expect_eq(request.state, REQUEST_DONE);
	cr_expect(request.unread);
	cr_expect_not(request.keep_alive);
}

/* `prefix`, then `filler` again and again: it must be refused with `status` after about `limit` bytes. */
static void expect_limit(const char *prefix, const char *filler, int status, size_t limit)
{
	for (size_t piece = 1; piece < 5000; piece = piece * 7 + 3) {
		char bytes[8192];
		size_t size = (size_t)snprintf(bytes, sizeof bytes, "%s", prefix);
		while (size + strlen(filler) < sizeof bytes)
			size += (size_t)snprintf(bytes + size, sizeof bytes - size, "%s", filler);
		struct request request;
		size_t used = feed(&request, bytes, size, piece);
		cr_expect_eq(request.status, status, "%s%s: %d", prefix, filler, request.status);
		cr_expect_leq(used, limit, "%s%s: %zu bytes", prefix, filler, used);
		cr_expect_not(request.keep_alive);
	}
}

Test(request, limits_hold_however_bytes_are_cut)
{
	expect_limit("GET /", "a", 414, limits.header);
	expect_limit("GET / HTTP/1.1\r\n", "X: y\r\n", 431, limits.header);
	expect_limit("GET / HTTP/1.1\r\nX: ", "y", 431, limits.header);
	expect_limit("GET / HTTP/1.1\r\nX:", " ", 431, limits.header);
	expect_limit("GET / HTTP/1.1\r\n", "If-Match: \"aaaaaaaa\"\r\n", 431, limits.header);
	expect_limit("", "\r\n", 431, limits.header);
	expect_limit("GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", "1\r\na\r\n", 413, 256);
	expect_limit("GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1;", "x", 413, 256);
	expect_limit("GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 65\r\n\r\n", "a", 413, 100);
}

Test(request, a_body_of_just_the_limit_is_read)
{
	char bytes[256];
	struct request request;
	int size = snprintf(bytes, sizeof bytes, "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 64\r\n\r\n%064d", 0);
	cr_expect_eq(feed(&request, bytes, (size_t)size, 10), (size_t)size);
	cr_expect_eq(request.status, 0);
	cr_expect(request.keep_alive);
}

/* Noise, and good requests with a byte changed: no crash, no read outside the piece, always an end or a wish for more. */
Test(request, survives_noise)
{
	static const char seed_bytes[] =
		"GET /a%20b?c HTTP/1.1\r\nHost: x\r\nRange: bytes=0-1\r\nIf-None-Match: \"a\"\r\n"
		"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nT: x\r\n\r\n";
	unsigned seed = 7;
	for (int round = 0; round < 100000; round++) {
		char bytes[sizeof seed_bytes];
		memcpy(bytes, seed_bytes, sizeof bytes);
		for (int changes = rand_r(&seed) % 4; changes >= 0; changes--)
			bytes[(size_t)rand_r(&seed) % sizeof bytes] = (char)rand_r(&seed);
		struct request request;
		feed(&request, bytes, sizeof bytes - 1, 1 + (size_t)rand_r(&seed) % 200);
		cr_assert(request.state != REQUEST_DONE || request.status != 0 || *request_target(&request) != '\0');
	}
}
