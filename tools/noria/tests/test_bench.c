/* SPDX-License-Identifier: MIT */
/* Unit tests of the load generator's pure parts: what an answer is, how numbers are told, in which slice a thing falls. */
#include "reader.h"
#include "tally.h"
#include "words.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

static const struct script http = {.scheme = SCHEME_HTTP};

/* Feed a text in two pieces. Returns: how many answers there were, or the error. */
static int feed(struct reader *reader, const char *text, size_t first)
{
	size_t size = strlen(text);
	reader_begin(reader, &http);
	int before = reader_feed(reader, text, first);
	int after = before < 0 ? before : reader_feed(reader, text + first, size - first);
	return after < 0 ? after : before + after;
}

Test(bench_reader, answers_are_the_same_wherever_they_are_cut)
{
	static const struct {
		const char *text;
		int answers;
	} cases[] = {
		{"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 1},
		{"HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", 2},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX: y\r\n\r\n", 1},
		{"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 1},
		{"HTTP/1.1 200 OK\r\n\r\nuntil the end", 0},
		{"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello", 0},
		{"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello!", -EBADMSG},
		{"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello", -EBADMSG},
		{"220 ready\r\n", -EBADMSG},
	};
	struct reader reader;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		for (size_t cut = 0; cut <= strlen(cases[i].text); cut++)
			cr_assert_eq(feed(&reader, cases[i].text, cut), cases[i].answers, "%s cut at %zu",
				     cases[i].text, cut);
}

Test(bench_reader, the_end_of_a_connection_may_complete_an_answer)
{
	struct reader reader;
	cr_assert_eq(feed(&reader, "HTTP/1.1 404 Not Found\r\n\r\nuntil the end", 20), 0);
	cr_assert_eq(reader_end(&reader), 1);
	cr_assert_eq(reader.statuses[4], 1);
	cr_assert_eq(feed(&reader, "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello", 20), 0);
	cr_assert_eq(reader_end(&reader), 0);
}

Test(bench_reader, the_last_answer_says_so)
{
	struct reader reader;
	feed(&reader, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 0);
	cr_assert_not(reader.closing);
	feed(&reader, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", 0);
	cr_assert(reader.closing);
	feed(&reader, "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", 0);
	cr_assert(reader.closing);
}

Test(bench_reader, an_echo_is_compared_across_pieces)
{
	struct script script = {.scheme = SCHEME_TCP, .bytes = (char[]){"abcd"}, .size = 4, .copies = 1};
	struct reader reader;
	reader_begin(&reader, &script);
	cr_assert_eq(reader_feed(&reader, "ab", 2), 0);
	cr_assert_eq(reader_feed(&reader, "cdabcda", 7), 2);
	cr_assert_eq(reader_feed(&reader, "bcx", 3), -EBADMSG);
}

Test(bench_script, a_request_lies_there_as_often_as_it_is_in_flight)
{
	struct plan plan = {
		.method = "PUT", .depth = 3, .body = "xyz", .body_size = 3, .headers = {"A: b"}, .headers_count = 1};
	struct target target = {.scheme = SCHEME_HTTP, .authority = "h:1", .path = "/p"};
	struct script script;
	static const char one[] = "PUT /p HTTP/1.1\r\nHost: h:1\r\nA: b\r\nContent-Length: 3\r\n\r\nxyz";
	cr_assert_eq(script_write(&script, &plan, &target), 0);
	cr_assert_eq(script.size, sizeof one - 1);
	cr_assert_eq(script.copies, 3);
	for (unsigned i = 0; i < 3; i++)
		cr_assert_eq(memcmp(script.bytes + i * script.size, one, script.size), 0);
	script_done(&script);
	plan.headers[0] = "hOST: other"; /* what is given is not said twice */
	cr_assert_eq(script_write(&script, &plan, &target), 0);
	cr_assert_null(memmem(script.bytes, script.size, "h:1", 3));
	script_done(&script);
}

Test(bench_tally, a_slice_is_a_round_length_of_time)
{
	static const struct {
		double seconds, slice;
		unsigned count;
	} cases[] = {{0.25, 0.1, 3}, {10, 0.1, 100}, {30, 0.2, 150}, {60, 0.5, 120}, {3600, 20, 180}};
	struct tally tally;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		cr_assert_eq(tally_init(&tally, 1000, (int64_t)(cases[i].seconds * 1e9)), 0);
		cr_assert_eq(tally.slice_ns, (int64_t)(cases[i].slice * 1e9));
		cr_assert_eq(tally.slices_count, cases[i].count);
		cr_assert_null(tally_slice(&tally, 999));
		cr_assert_eq(tally_slice(&tally, 1000), &tally.slices[0]);
		cr_assert_eq(tally_slice(&tally, 1000 + tally.slice_ns), &tally.slices[1]);
		cr_assert_null(tally_slice(&tally, 1000 + cases[i].count * tally.slice_ns));
		tally_done(&tally);
	}
}

Test(bench_words, numbers_have_three_digits_and_a_unit)
{
	char text[32];
	cr_assert_str_eq(words_time(text, sizeof text, 640), "640 ns");
	cr_assert_str_eq(words_time(text, sizeof text, 12345), "12.3 us");
	cr_assert_str_eq(words_time(text, sizeof text, 999999), "1.00 ms");
	cr_assert_str_eq(words_time(text, sizeof text, 3.6e12), "3600 s");
	cr_assert_str_eq(words_round_time(text, sizeof text, 5e6), "5 ms");
	cr_assert_str_eq(words_bytes(text, sizeof text, 1234567), "1.23 MB");
	cr_assert_str_eq(words_count(text, sizeof text, 1234567.4), "1,234,567");
	cr_assert_str_eq(words_count(text, sizeof text, 999), "999");
	cr_assert_str_eq(words_count(text, sizeof text, 3.44), "3.4");
	cr_assert_str_eq(words_count(text, sizeof text, 0), "0");
}

Test(bench_words, text_from_outside_is_made_harmless)
{
	static const struct {
		const char *given, *clean;
	} cases[] = {
		{"plain", "plain"},
		{"\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80", "\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80"},
		{"a\tb\x7f", "a?b?"},
		{"\xff\xc3", "??"},                /* no beginning, no end */
		{"\xc0\xaf\xe0\x80\xaf", "?????"}, /* longer than need be */
		{"\xed\xa0\x80", "???"},           /* half of a surrogate pair */
		{"\xef\xbf\xbf", "???"},           /* none that XML has */
		{"\xf4\x90\x80\x80", "????"},      /* beyond the last */
	};
	char text[64];
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		cr_assert_str_eq(words_clean(text, sizeof text, cases[i].given), cases[i].clean, "case %zu", i);
	cr_assert_str_eq(words_clean(text, 4, "ab\xe2\x82\xac"), "ab"); /* no half of a character */
}
