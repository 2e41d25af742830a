/* SPDX-License-Identifier: MIT */
/*
 * The target of a request is percent-decoded exactly once, segment by segment, and then normalised: empty and "."
 * segments vanish, ".." takes the segment before it away, and one that would climb above the root is refused. Because
 * decoding comes first, "..", "%2e%2e" and ".%2E" are the same thing; because it is done once, "%252e%252e" is only an
 * odd file name. An encoded slash or NUL cannot be part of a file's name. Bytes are not interpreted further: a
 * backslash, or an overlong UTF-8 form of a dot, is a byte of a name like any other.
 *
 * None of this is what keeps a request inside the served directory: the kernel does, by RESOLVE_BENEATH (file.c). It
 * makes the answers clear, and keeps redirects to names that the client could have meant.
 */
#include "path.h"

#include <ctype.h>
#include <strings.h>

/* Skip "http://authority" of the absolute form. Returns: where the path begins, NULL if `target` has none. */
static const char *skip_origin(const char *target)
{
	if (*target == '/')
		return target;
	size_t scheme = strncasecmp(target, "http://", 7) == 0 ? 7 : strncasecmp(target, "https://", 8) == 0 ? 8 : 0;
	if (scheme == 0)
		return NULL;
	const char *path = target + scheme + strcspn(target + scheme, "/?#");
	return path == target + scheme ? NULL : path;
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Decode one segment from *at to `out`. Returns: 0 and *ret_size, or a status. */
static int decode_segment(const char **at, char *out, size_t *ret_size)
{
	const char *in = *at;
	size_t size = 0;
	for (; *in != '\0' && *in != '/' && *in != '?' && *in != '#'; in++) {
		char c = *in;
		if (c == '%') {
			int high = hex_value(in[1]), low = high < 0 ? -1 : hex_value(in[2]);
			if (low < 0)
				return 400;
			c = (char)(high * 16 + low);
			if (c == '\0')
				return 400;
			if (c == '/')
				return 404;
			in += 2;
		}
		out[size++] = c;
	}
	*at = in;
	*ret_size = size;
	return 0;
}

/* Take the last segment of the `size` bytes at `name` away. Returns: the size without it. */
static size_t parent(const char *name, size_t size)
{
	while (size > 0 && name[size - 1] != '/')
		size--;
	return size > 0 ? size - 1 : 0;
}

static bool is_dots(const char *segment, size_t size, size_t dots)
{
	return size == dots && memcmp(segment, "..", dots) == 0;
}

int path_decode(const char *target, char *name, struct path *ret_path)
{
	const char *at = skip_origin(target);
	if (at == NULL)
		return 400;
	size_t size = 0; /* of what stands at `name`, without a slash at its end */
	bool directory = true;
	while (*at == '/') {
		size_t start = size > 0 ? size + 1 : 0, length;
		at++;
		int status = decode_segment(&at, name + start, &length);
		if (status != 0)
			return status;
		directory = true;
		if (is_dots(name + start, length, 2)) {
			if (size == 0)
				return 400;
			size = parent(name, size);
		} else if (length > 0 && !is_dots(name + start, length, 1)) {
			if (start > 0)
				name[size] = '/';
			size = start + length;
			directory = false;
		}
	}
	if (size == 0)
		name[size++] = '.';
	name[size] = '\0';
	*ret_path = (struct path){.name = name, .query = *at == '?' ? at : "", .directory = directory};
	return 0;
}

bool path_hidden(const char *name)
{
	if (strcmp(name, ".") == 0)
		return false;
	if (strncmp(name, ".well-known", 11) == 0 && (name[11] == '/' || name[11] == '\0'))
		name += 11;
	return *name == '.' || strstr(name, "/.") != NULL;
}

void path_encode(struct text *text, const char *name)
{
	for (; *name != '\0'; name++) {
		unsigned char c = (unsigned char)*name;
		if (c < 0x80 && (isalnum(c) || strchr("-._~/", c) != NULL)) {
			text_char(text, (char)c);
		} else {
			char escape[3] = {'%', "0123456789ABCDEF"[c >> 4], "0123456789ABCDEF"[c & 15]};
			text_bytes(text, escape, sizeof escape);
		}
	}
}
