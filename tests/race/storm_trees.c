/* SPDX-License-Identifier: MIT */
/*
 * The storm's directories, blocks and replacements. A directory of a known number of files is listed and walked, each
 * entry once however often a step is given up; a file that is replaced has one content or the other, and nothing is
 * beside it in the end; a pool has all of its blocks then, and whoever has one is alone with it.
 */
#include "storm.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILES = 160, BLOCKS = 5, SIZE = 4096 }; /* several batches, with a struct statx each */

static char place[128];
static int directory, source;
static struct noria_blocks *blocks;
static unsigned long entries, resumed, replaced, taken;

/* One step within a limit of its own: what was given up comes with the next. */
static int next_entry(struct noria_walk *walk, struct noria_directory *list)
{
	struct noria_directory_entry entry;
	struct noria_walk_entry found;
	int64_t limit = storm_below(3) ? NORIA_FOREVER : storm_soon() / 8;
	int r = noria_within(limit, walk ? noria_walk_next(walk, &found) : noria_directory_next(list, &entry));

	CHECK(r == 1 || r == 0 || r == -ECANCELED || r == -ETIMEDOUT);
	CHECK(r != 1 || (walk ? found.error == 0 && found.type == DT_REG : entry.type == DT_REG));
	resumed += r == -ETIMEDOUT;
	return r;
}

static int list_all(unsigned depth)
{
	noria_autowalk struct noria_walk *walk = NULL;
	noria_autodirectory struct noria_directory *list = NULL;
	int r, count = 0;

	(void)depth;
	if (storm_below(2))
		r = noria_walk_open(directory, "files", storm_below(2) ? NORIA_WALK_STATX : 0, 0, &walk);
	else
		r = noria_directory_open(directory, "files", &list);
	if (r == 0)
		r = 1;
	while (r == 1 || r == -ETIMEDOUT) {
		r = next_entry(walk, list);
		count += r == 1;
	}
	CHECK(r == 0 || r == -ECANCELED);
	CHECK(r != 0 || count == FILES);
	entries += (unsigned)count;
	return r;
}

static int replace_file(unsigned depth)
{
	char content[64];
	size_t size = 1 + storm_below(sizeof content);
	int r;

	(void)depth;
	memset(content, (int)size, size);
	if (storm_below(3)) /* most are stopped, somewhere */
		r = noria_replace_file(directory, "replaced", content, size, 0600);
	else
		r = noria_shielded(noria_sec(50), noria_replace_file(directory, "replaced", content, size, 0600));
	CHECK(r == 0 || r == -ECANCELED);
	replaced += r == 0;
	return r;
}

static int read_file(unsigned depth)
{
	void *data;
	size_t size;
	int r = noria_read_file(directory, "replaced", 64, &data, &size);

	(void)depth;
	CHECK(r == 0 || r == -ECANCELED);
	if (r < 0)
		return r;
	for (size_t i = 0; i < size; i++)
		CHECK(((unsigned char *)data)[i] == size);
	free(data);
	return 0;
}

/* A mark of its own stays in it, but where the read wrote. */
static int use_block(unsigned depth)
{
	char mark = (char)('0' + storm_below(10)), *block;
	size_t size = storm_below(SIZE);
	ssize_t n;
	int r = noria_block_get(blocks, (void **)&block);

	(void)depth;
	CHECK(r == 0 || r == -ECANCELED);
	if (r < 0)
		return r;
	memset(block, mark, SIZE);
	n = noria_pread(source, block, size, 0);
	CHECK(n == (ssize_t)size || n == -ECANCELED);
	storm_pause();
	for (size_t i = 0; i < SIZE; i++)
		CHECK(block[i] == (n > (ssize_t)i ? 's' : mark));
	CHECK(noria_block_put(block) == 0);
	taken++;
	return n < 0 ? (int)n : 0;
}

static void open_all(void)
{
	const char *top = getenv("TMPDIR");
	char name[32], content[SIZE];

	entries = resumed = replaced = taken = 0;
	snprintf(place, sizeof place, "%s/noria-storm-XXXXXX",
		 top ? top : "/dev/shm"); /* fsync(2) costs nothing there */
	CHECK(mkdtemp(place));
	directory = open(place, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CHECK(directory >= 0 && mkdirat(directory, "files", 0700) == 0);
	for (unsigned i = 0; i < FILES; i++) {
		snprintf(name, sizeof name, "files/%u", i);
		CHECK(mknodat(directory, name, S_IFREG | 0600, 0) == 0);
	}
	memset(content, 's', sizeof content);
	source = memfd_create("storm", MFD_CLOEXEC);
	CHECK(source >= 0 && write(source, content, SIZE) == SIZE);
	CHECK(noria_replace_file(directory, "replaced", "\1", 1, 0600) == 0);
	CHECK(noria_blocks_open(BLOCKS, SIZE, 0, &blocks) == 0);
}

/* Nothing is in the directory but what belongs there. */
static void close_all(void)
{
	char name[32];

	CHECK(noria_blocks_close(blocks) == 0);
	for (unsigned i = 0; i < FILES; i++) {
		snprintf(name, sizeof name, "files/%u", i);
		CHECK(unlinkat(directory, name, 0) == 0);
	}
	CHECK(unlinkat(directory, "files", AT_REMOVEDIR) == 0 && unlinkat(directory, "replaced", 0) == 0);
	CHECK(noria_close(directory) == 0 && noria_close(source) == 0 && rmdir(place) == 0);
	storm_note("entries of directories", entries);
	storm_note("listings taken up again", resumed);
	storm_note("files replaced", replaced);
	storm_note("blocks taken", taken);
}

static const struct storm_operation operations[] = {
	{"directory, walk", list_all, 2},
	{"replace a file", replace_file, 1},
	{"read a file", read_file, 2},
	{"block", use_block, 4},
};

const struct storm_subject storm_trees = {.operations = operations,
					  .count = sizeof operations / sizeof operations[0],
					  .open = open_all,
					  .close = close_all};
