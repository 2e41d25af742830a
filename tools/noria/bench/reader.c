/* SPDX-License-Identifier: MIT */
/*
 * Echoes are compared byte by byte; HTTP is llhttp's, strict. Of an HTTP answer only its status and its end count, so
 * there are callbacks for these alone. Interim answers (1xx) are not answers: the final one is still to come.
 */
#include "reader.h"

#include <errno.h>
#include <string.h>

static int on_headers_complete(llhttp_t *parser)
{
	const struct reader *reader = parser->data;
	return reader->script->headless; /* 1: there is no body */
}

static int on_message_complete(llhttp_t *parser)
{
	struct reader *reader = parser->data;
	unsigned class = parser->status_code / 100;
	if (class == 1 && parser->status_code != 101)
		return 0;
	reader->complete++;
	reader->statuses[class < STATUS_CLASSES ? class : 0]++;
	reader->closing = !llhttp_should_keep_alive(parser);
	return 0;
}

static const llhttp_settings_t settings = {
	.on_headers_complete = on_headers_complete,
	.on_message_complete = on_message_complete,
};

void reader_begin(struct reader *reader, const struct script *script)
{
	*reader = (struct reader){.script = script};
	llhttp_init(&reader->parser, HTTP_RESPONSE, &settings);
	reader->parser.data = reader;
}

static int feed_echo(struct reader *reader, const char *bytes, size_t size)
{
	const struct script *script = reader->script;
	int complete = 0;
	while (size > 0) {
		size_t rest = script->size - reader->offset, piece = size < rest ? size : rest;
		if (memcmp(bytes, script->bytes + reader->offset, piece) != 0)
			return -EBADMSG;
		bytes += piece;
		size -= piece;
		reader->offset += piece;
		if (reader->offset == script->size) {
			reader->offset = 0;
			complete++;
		}
	}
	return complete;
}

int reader_feed(struct reader *reader, const char *bytes, size_t size)
{
	if (reader->script->scheme != SCHEME_HTTP)
		return feed_echo(reader, bytes, size);
	reader->complete = 0;
	memset(reader->statuses, 0, sizeof reader->statuses);
	if (llhttp_execute(&reader->parser, bytes, size) != HPE_OK)
		return -EBADMSG;
	return (int)reader->complete;
}

int reader_end(struct reader *reader)
{
	reader->complete = 0;
	memset(reader->statuses, 0, sizeof reader->statuses);
	if (reader->script->scheme == SCHEME_HTTP)
		llhttp_finish(&reader->parser);
	return (int)reader->complete;
}
