/* SPDX-License-Identifier: MIT */
/*
 * What is in a directory, as a page of links. Reading a directory has no operation on the ring and may wait for a disk,
 * so the page is made on a thread of the executor (noria_offload) and sent by the task. Directories come first, then
 * names in byte order; links are named but not followed, so that the page tells nothing of what is outside. Names are
 * escaped for HTML and percent-encoded in links. A directory with very many entries is cut, and says so.
 */
#include "path.h"
#include "serve.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <noria/noria.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define ENTRIES_MAX 10000

struct entry {
	char *name;
	bool directory, known;
	off_t size;
	time_t modified;
};

struct listing {
	int fd;
	const char *name; /* of the directory, as in path.h */
	bool hidden;
	char *page; /* the result: malloc'd */
	size_t page_size;
	struct entry *entries;
	size_t count, room;
	bool cut;
};

static int add_entry(struct listing *listing, const char *name)
{
	if (listing->count == listing->room) {
		size_t room = listing->room ? listing->room * 2 : 64;
		struct entry *entries = realloc(listing->entries, room * sizeof *entries);
		if (entries == NULL)
			return -ENOMEM;
		listing->entries = entries;
		listing->room = room;
	}
	struct entry *entry = &listing->entries[listing->count];
	*entry = (struct entry){.name = strdup(name)};
	if (entry->name == NULL)
		return -ENOMEM;
	listing->count++;
	struct stat stat;
	if (fstatat(listing->fd, name, &stat, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISLNK(stat.st_mode)) {
		entry->known = true;
		entry->directory = S_ISDIR(stat.st_mode);
		entry->size = stat.st_size;
		entry->modified = stat.st_mtime;
	}
	return 0;
}

static int read_entries(struct listing *listing, DIR *directory)
{
	int error = 0;
	while (error == 0) {
		errno = 0;
		const struct dirent *found = readdir(directory);
		if (found == NULL)
			return -errno;
		if (strcmp(found->d_name, ".") == 0 || strcmp(found->d_name, "..") == 0)
			continue;
		if (!listing->hidden && path_hidden(found->d_name))
			continue;
		listing->cut = listing->count == ENTRIES_MAX;
		if (listing->cut)
			break;
		error = add_entry(listing, found->d_name);
	}
	return error;
}

static int compare_entries(const void *left, const void *right)
{
	const struct entry *a = left, *b = right;
	if (a->directory != b->directory)
		return a->directory ? -1 : 1;
	return strcmp(a->name, b->name);
}

static void put_html(FILE *out, const char *value)
{
	for (; *value != '\0'; value++) {
		unsigned char c = (unsigned char)*value;
		if (c < ' ' || c == 0x7f || c == '<' || c == '>' || c == '&' || c == '"' || c == '\'')
			fprintf(out, "&#%u;", c < ' ' || c == 0x7f ? 0xfffdu : c);
		else
			putc(c, out);
	}
}

static void put_entry(FILE *out, const struct entry *entry)
{
	char link[3 * NAME_MAX + 1], modified[32] = "";
	const char *slash = entry->directory ? "/" : "";
	struct text text = text_on(link, sizeof link - 1);
	struct tm tm;
	path_encode(&text, entry->name);
	*text.at = '\0';
	if (entry->known && gmtime_r(&entry->modified, &tm))
		strftime(modified, sizeof modified, "%Y-%m-%d %H:%M", &tm);
	fprintf(out, "<tr><td><a href=\"./%s%s\">", link, slash);
	put_html(out, entry->name);
	fprintf(out, "%s</a><td>%s<td class=\"n\">", slash, modified);
	if (entry->known && !entry->directory)
		fprintf(out, "%lld", (long long)entry->size);
	fputs("\n", out);
}

static void put_page(FILE *out, const struct listing *listing)
{
	const char *name = strcmp(listing->name, ".") == 0 ? "" : listing->name;
	fputs("<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\">"
	      "<meta name=\"viewport\" content=\"width=device-width\"><title>/",
	      out);
	put_html(out, name);
	fputs("</title>\n<style>body{font:1em sans-serif;margin:2em}td{padding:.1em 1em .1em "
	      "0}.n{text-align:right}</style>\n"
	      "<h1>/",
	      out);
	put_html(out, name);
	fputs("</h1>\n<table>\n", out);
	if (*name != '\0')
		fputs("<tr><td><a href=\"../\">../</a><td><td>\n", out);
	for (size_t i = 0; i < listing->count; i++)
		put_entry(out, &listing->entries[i]);
	fprintf(out, "</table>\n%s</html>\n", listing->cut ? "<p>There is more than is shown here.</p>\n" : "");
}

/* On another thread: no noria function here. The descriptor stays the task's. */
static int listing_make(void *arg)
{
	struct listing *listing = arg;
	int again = fcntl(listing->fd, F_DUPFD_CLOEXEC, 0);
	DIR *directory = again < 0 ? NULL : fdopendir(again);
	if (directory == NULL) {
		int error = -errno;
		if (again >= 0)
			close(again);
		return error;
	}
	int error = read_entries(listing, directory);
	closedir(directory);
	FILE *out = error == 0 ? open_memstream(&listing->page, &listing->page_size) : NULL;
	if (out) {
		if (listing->count > 0)
			qsort(listing->entries, listing->count, sizeof *listing->entries, compare_entries);
		put_page(out, listing);
		if (fclose(out) != 0)
			error = -ENOMEM;
	} else if (error == 0) {
		error = -ENOMEM;
	}
	for (size_t i = 0; i < listing->count; i++)
		free(listing->entries[i].name);
	free(listing->entries);
	return error;
}

void listing_answer(struct exchange *exchange, int fd, const char *name)
{
	bool hidden = exchange->connection->server->options->hidden;
	struct listing listing = {.fd = fd, .name = name, .hidden = hidden};
	int error = noria_offload(listing_make, &listing);
	noria_close(fd);
	if (error == 0) {
		exchange_begin(exchange, 200);
		exchange_header(exchange, "Content-Type", "text/html; charset=utf-8");
		exchange_header(exchange, "X-Content-Type-Options", "nosniff");
		exchange_header(exchange, "Cache-Control", "no-cache");
		exchange_finish(exchange, listing.page_size);
		exchange_send(exchange, listing.page, listing.page_size);
	} else if (error == -ECANCELED) {
		exchange->broken = true;
	} else {
		report("%s: the directory cannot be read: %s", exchange->id, strerror(-error));
		exchange_status(exchange, error == -EMFILE || error == -ENOMEM ? 503 : 500);
	}
	free(listing.page);
}
