/* SPDX-License-Identifier: MIT */
/*
 * Fetch several URLs at once, within ten seconds for all of them: `fetch URL...`. Each has a task; they share the
 * connections and the names that libcurl keeps.
 */
#include <noria/curl.h>
#include <noria/noria.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct fetch {
	struct noria_curl *curl;
	const char *url;
};

static size_t count(char *data, size_t size, size_t number, void *arg)
{
	size_t *total = arg;

	(void)data;
	*total += size * number;
	return size * number;
}

static int fetch(void *arg)
{
	struct fetch *fetch = arg;
	CURL *easy = curl_easy_init();
	size_t total = 0;
	int code = -ENOMEM;

	if (easy) {
		curl_easy_setopt(easy, CURLOPT_URL, fetch->url);
		curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, count);
		curl_easy_setopt(easy, CURLOPT_WRITEDATA, &total);
		code = noria_curl_perform(fetch->curl, easy);
	}
	if (code >= 0)
		printf("%s: %s, %zu bytes\n", fetch->url, curl_easy_strerror((CURLcode)code), total);
	curl_easy_cleanup(easy);
	return code < 0 ? code : 0;
}

static int fetch_all(struct noria_group *group, char **urls)
{
	struct fetch one = {NULL, NULL};

	noria_try(noria_curl_open(group, &one.curl));
	for (; *urls; urls++) {
		one.url = *urls;
		noria_try(noria_spawn_copy(group, fetch, &one, sizeof one));
	}
	return 0;
}

static int run(void *arg)
{
	struct noria_group group;

	return noria_grouped_until(&group, noria_now() + noria_sec(10), fetch_all(&group, arg));
}

int main(int argc, char **argv)
{
	int result;

	if (argc < 2 || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return 2;
	result = noria_run(NULL, run, argv + 1);
	curl_global_cleanup();
	if (result < 0)
		fprintf(stderr, "fetch: %s %s\n", strerror(-result), noria_message());
	return result < 0;
}
