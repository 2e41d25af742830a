/* SPDX-License-Identifier: MIT */
/* Media types: found by extension whatever its case, never by what only looks like one. */
#include "mime.h"

#include <criterion/criterion.h>

/* Every entry can be found, which a table out of order would not give: names from its two ends and its middle. */
Test(mime, finds_types_everywhere_in_the_table)
{
	cr_expect_str_eq(mime_type("a.3gp"), "video/3gpp");
	cr_expect_str_eq(mime_type("a.7z"), "application/x-7z-compressed");
	cr_expect_str_eq(mime_type("a.aac"), "audio/aac");
	cr_expect_str_eq(mime_type("index.html"), "text/html; charset=utf-8");
	cr_expect_str_eq(mime_type("app.js"), "text/javascript; charset=utf-8");
	cr_expect_str_eq(mime_type("app.mjs"), "text/javascript; charset=utf-8");
	cr_expect_str_eq(mime_type("a.json"), "application/json");
	cr_expect_str_eq(mime_type("a.md"), "text/markdown; charset=utf-8");
	cr_expect_str_eq(mime_type("a.png"), "image/png");
	cr_expect_str_eq(mime_type("a.svg"), "image/svg+xml");
	cr_expect_str_eq(mime_type("a.txt"), "text/plain; charset=utf-8");
	cr_expect_str_eq(mime_type("a.wasm"), "application/wasm");
	cr_expect_str_eq(mime_type("a.woff"), "font/woff");
	cr_expect_str_eq(mime_type("a.woff2"), "font/woff2");
	cr_expect_str_eq(mime_type("a.zst"), "application/zstd");
}

Test(mime, goes_by_the_last_extension_in_any_case)
{
	cr_expect_str_eq(mime_type("A.HTML"), "text/html; charset=utf-8");
	cr_expect_str_eq(mime_type("a.html.gz"), "application/gzip");
	cr_expect_str_eq(mime_type("a.b/c.css"), "text/css; charset=utf-8");
}

Test(mime, does_not_guess)
{
	static const char *const unknown[] = {"",   ".",         "html",    ".html", "dir.html/file",
					      "a.", "a.unknown", "a.html ", "a.ht"};
	for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++)
		cr_expect_str_eq(mime_type(unknown[i]), "application/octet-stream", "%s", unknown[i]);
}
