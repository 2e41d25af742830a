/* SPDX-License-Identifier: MIT */
/*
 * A disk against a model of it: calls at random, and crashes. Before a crash names, sizes and bytes are what the model
 * says. After one, the names are what they were after one of the calls since the last that made them durable, and each
 * byte has a value that it had since its file was last synced.
 */
#include "simulation/disk/disk.h"
#include "simulation/host.h"
#include "simulation/world.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAMES = 5, FILES = 512, BYTES = 5 * 4096, SEEDS = 40, CALLS = 300, STATES = CALLS + 2, NONE = -1 };

struct model_file {
	uint64_t number; /* of its inode */
	unsigned char bytes[BYTES];
	int64_t size, size_min, size_max; /* now; since it was last synced */
	unsigned touched;                 /* the last state of names that it took part in */
	uint32_t possible[BYTES][8];      /* which values each byte had since */
};

struct model {
	struct sim_world *world;
	struct sim_host *host;
	uint64_t random;
	struct model_file *files;
	int files_count;
	int names[STATES][NAMES]; /* after each call that changed them */
	unsigned state, durable;
	unsigned crashes, undone, lost, grown; /* what crashes did */
};

static unsigned choose(struct model *model, unsigned among)
{
	model->random = sim_hash(model->random, 1, 2);
	return (unsigned)(model->random >> 33) % among;
}

static const char *path_of(int name)
{
	static const char *const paths[NAMES] = {"/tmp/a", "/tmp/b", "/tmp/c", "/var/d", "/var/e"};

	return paths[name];
}

static int *names_of(struct model *model)
{
	return model->names[model->state];
}

static int *next_state(struct model *model)
{
	memcpy(model->names[model->state + 1], model->names[model->state], sizeof model->names[0]);
	return model->names[++model->state];
}

static void touch(struct model *model, int file)
{
	if (file != NONE)
		model->files[file].touched = model->state;
}

/* ---- what is possible after a crash ---- */

static void note_byte(struct model_file *file, int64_t i)
{
	file->possible[i][file->bytes[i] / 32] |= UINT32_C(1) << file->bytes[i] % 32;
}

static void note_size(struct model_file *file)
{
	file->size_min = file->size < file->size_min ? file->size : file->size_min;
	file->size_max = file->size > file->size_max ? file->size : file->size_max;
}

static void is_durable(struct model_file *file)
{
	file->size_min = file->size_max = file->size;
	memset(file->possible, 0, sizeof file->possible);
	for (int64_t i = 0; i < BYTES; i++)
		note_byte(file, i);
}

static void set_bytes(struct model_file *file, int64_t offset, int64_t size, unsigned char value)
{
	for (int64_t i = offset; i < offset + size && i < BYTES; i++) {
		file->bytes[i] = value;
		note_byte(file, i);
	}
}

/* ---- calls ---- */

static struct sim_file *open_name(struct model *model, int name, int flags)
{
	struct open_how how = {.flags = (unsigned)flags, .mode = flags & O_CREAT ? 0600 : 0};
	struct sim_file *file;
	int r = sim_openat(model->host, AT_FDCWD, path_of(name), &how, &file);

	cr_assert_eq(r, 0, "open %s: %d", path_of(name), r);
	return file;
}

static void create(struct model *model, int name)
{
	struct sim_file *file;
	struct stat status;
	int *names;

	if (names_of(model)[name] != NONE)
		return;
	file = open_name(model, name, O_RDWR | O_CREAT | O_EXCL);
	cr_assert_eq(sim_fstat(file, &status), 0);
	sim_file_unref(file);
	names = next_state(model);
	names[name] = model->files_count++;
	cr_assert_lt(model->files_count, FILES);
	model->files[names[name]].number = status.st_ino;
	is_durable(&model->files[names[name]]);
	touch(model, names[name]);
}

static void write_name(struct model *model, int name)
{
	struct model_file *file = &model->files[names_of(model)[name]];
	unsigned char buffer[9000], value = (unsigned char)(1 + choose(model, 255));
	struct iovec vector = {.iov_base = buffer, .iov_len = 1 + choose(model, sizeof buffer)};
	struct sim_transfer transfer = {.vector = &vector, .count = 1, .host = model->host};
	struct sim_file *open = open_name(model, name, O_WRONLY);

	transfer.size = vector.iov_len;
	transfer.offset = choose(model, BYTES - (unsigned)vector.iov_len);
	memset(buffer, value, sizeof buffer);
	cr_assert_eq(open->class->write(open, &transfer), (int64_t)vector.iov_len);
	sim_file_unref(open);
	set_bytes(file, transfer.offset, (int64_t)vector.iov_len, value);
	if (transfer.offset + (int64_t)vector.iov_len > file->size)
		file->size = transfer.offset + (int64_t)vector.iov_len;
	note_size(file);
}

static void truncate_name(struct model *model, int name)
{
	struct model_file *file = &model->files[names_of(model)[name]];
	struct sim_file *open = open_name(model, name, O_RDWR);
	int64_t size = choose(model, 3) ? choose(model, BYTES) : 0;

	cr_assert_eq(sim_ftruncate(open, size), 0);
	sim_file_unref(open);
	set_bytes(file, size, BYTES - size, 0);
	file->size = size;
	note_size(file);
}

static void punch_name(struct model *model, int name)
{
	struct model_file *file = &model->files[names_of(model)[name]];
	struct sim_file *open = open_name(model, name, O_RDWR);
	int64_t offset = choose(model, BYTES - 1), size = 1 + choose(model, BYTES - 1 - (unsigned)offset);
	bool punches = choose(model, 2);

	cr_assert_eq(sim_fallocate(open, punches ? FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE : FALLOC_FL_ZERO_RANGE,
				   offset, size),
		     0);
	sim_file_unref(open);
	set_bytes(file, offset, size, 0);
	if (!punches && offset + size > file->size)
		file->size = offset + size;
	note_size(file);
}

static void rename_name(struct model *model, int from)
{
	int to = (int)choose(model, NAMES), *names = names_of(model), moved = names[from], other = names[to];
	bool exchange = other != NONE && choose(model, 2);

	cr_assert_eq(sim_renameat(model->host, AT_FDCWD, path_of(from), AT_FDCWD, path_of(to),
				  exchange ? RENAME_EXCHANGE : 0),
		     0);
	if (moved == other)
		return;
	names = next_state(model);
	names[to] = moved;
	names[from] = exchange ? other : NONE;
	touch(model, moved);
	touch(model, other);
}

static void link_name(struct model *model, int from)
{
	int to = (int)choose(model, NAMES), *names = names_of(model), file = names[from];
	int r = sim_linkat(model->host, AT_FDCWD, path_of(from), AT_FDCWD, path_of(to), 0);

	cr_assert_eq(r, names[to] == NONE ? 0 : -EEXIST);
	if (r < 0)
		return;
	next_state(model)[to] = file;
	touch(model, file);
}

static void unlink_name(struct model *model, int name)
{
	int file = names_of(model)[name];

	cr_assert_eq(sim_unlinkat(model->host, AT_FDCWD, path_of(name), 0), 0);
	next_state(model)[name] = NONE;
	touch(model, file);
}

static void sync_name(struct model *model, int name, bool data_only)
{
	struct model_file *file = &model->files[names_of(model)[name]];
	struct sim_file *open = open_name(model, name, O_RDONLY);

	cr_assert_eq(sim_fsync(open, data_only), 0);
	sim_file_unref(open);
	is_durable(file);
	if (!data_only && file->touched > model->durable)
		model->durable = file->touched;
}

static void sync_directory(struct model *model)
{
	struct open_how how = {.flags = O_RDONLY | O_DIRECTORY};
	struct sim_file *file;

	cr_assert_eq(sim_openat(model->host, AT_FDCWD, "/tmp", &how, &file), 0);
	cr_assert_eq(sim_fsync(file, false), 0);
	sim_file_unref(file);
	model->durable = model->state;
}

/* ---- what is there ---- */

static int file_numbered(const struct model *model, uint64_t number)
{
	for (int i = 0; i < model->files_count; i++)
		if (model->files[i].number == number)
			return i;
	return NONE;
}

static void observe(struct model *model, int *names)
{
	for (int i = 0; i < NAMES; i++) {
		struct stat status;
		int r = sim_fstatat(model->host, AT_FDCWD, path_of(i), &status, AT_SYMLINK_NOFOLLOW);

		cr_assert(r == 0 || r == -ENOENT);
		names[i] = r == 0 ? file_numbered(model, status.st_ino) : NONE;
		cr_assert(r < 0 || names[i] != NONE);
	}
}

static int64_t read_name(struct model *model, int name, unsigned char *bytes)
{
	struct iovec vector = {.iov_base = bytes, .iov_len = BYTES + 1};
	struct sim_transfer transfer = {.vector = &vector, .count = 1, .size = vector.iov_len, .host = model->host};
	struct sim_file *file = open_name(model, name, O_RDONLY);
	int64_t n = file->class->read(file, &transfer);

	sim_file_unref(file);
	return n;
}

static void check_now(struct model *model)
{
	static unsigned char bytes[BYTES + 1];
	int names[NAMES];

	observe(model, names);
	cr_assert_arr_eq(names, names_of(model), sizeof names);
	for (int i = 0; i < NAMES; i++) {
		const struct model_file *file = names[i] == NONE ? NULL : &model->files[names[i]];

		if (!file)
			continue;
		cr_assert_eq(read_name(model, i, bytes), file->size);
		cr_assert(memcmp(bytes, file->bytes, (size_t)file->size) == 0, "bytes of %s", path_of(i));
	}
}

static void check_file(struct model *model, int name, struct model_file *file)
{
	static unsigned char bytes[BYTES + 1];
	int64_t size;

	memset(bytes, 0, sizeof bytes);
	size = read_name(model, name, bytes);
	cr_assert(size >= file->size_min && size <= file->size_max, "size %lld of %lld to %lld", (long long)size,
		  (long long)file->size_min, (long long)file->size_max);
	for (int64_t i = 0; i < size; i++)
		cr_assert(file->possible[i][bytes[i] / 32] >> bytes[i] % 32 & 1, "%s: byte %lld is %u", path_of(name),
			  (long long)i, bytes[i]);
	model->grown += size > file->size_min;
	model->lost += size != file->size || memcmp(bytes, file->bytes, (size_t)size) != 0;
	memcpy(file->bytes, bytes, BYTES);
	file->size = size;
	is_durable(file);
}

/* The last state of names since the durable one that is what is seen. */
static unsigned state_seen(const struct model *model, const int *names)
{
	unsigned state = model->state;

	while (state > model->durable && memcmp(names, model->names[state], sizeof model->names[0]) != 0)
		state--;
	return state;
}

static void crash(struct model *model)
{
	bool checked[FILES] = {false};
	int names[NAMES];
	unsigned state;

	sim_host_crash(model->host);
	sim_host_restart(model->host);
	observe(model, names);
	state = state_seen(model, names);
	cr_assert_arr_eq(names, model->names[state], sizeof names);
	model->crashes++;
	model->undone += state < model->state;
	for (int i = 0; i < NAMES; i++)
		if (names[i] != NONE && !checked[names[i]]) {
			checked[names[i]] = true;
			check_file(model, i, &model->files[names[i]]);
		}
	model->state = model->durable = 0;
	memcpy(model->names[0], names, sizeof names);
	for (int i = 0; i < model->files_count; i++)
		model->files[i].touched = 0;
}

static void call(struct model *model)
{
	int name = (int)choose(model, NAMES);

	if (names_of(model)[name] == NONE) {
		create(model, name);
		return;
	}
	switch (choose(model, 16)) {
	case 0:
		truncate_name(model, name);
		break;
	case 1:
		punch_name(model, name);
		break;
	case 2:
		rename_name(model, name);
		break;
	case 3:
		unlink_name(model, name);
		break;
	case 4:
		link_name(model, name);
		break;
	case 5:
		sync_name(model, name, choose(model, 2));
		break;
	case 6:
		if (choose(model, 2))
			sync_directory(model);
		break;
	case 7:
		if (choose(model, 2))
			crash(model);
		break;
	default:
		write_name(model, name);
	}
}

static void play(struct model *model, uint64_t seed)
{
	cr_assert_eq(sim_world_open(&model->world, seed, ""), 0);
	model->host = model->world->hosts[0];
	model->random = seed;
	model->state = model->durable = 0;
	model->files_count = 0;
	memset(model->files, 0, FILES * sizeof *model->files);
	for (int i = 0; i < NAMES; i++)
		model->names[0][i] = NONE;
	for (int i = 0; i < CALLS; i++) {
		call(model);
		check_now(model);
	}
	sim_world_close(model->world);
}

Test(disk, random_calls_and_crashes_leave_what_the_model_allows)
{
	static struct model model;

	model.files = calloc(FILES, sizeof *model.files);
	for (uint64_t seed = 1; seed <= SEEDS; seed++)
		play(&model, seed);
	free(model.files);
	/* They do lose things: names, bytes and sizes; and keep others. */
	cr_assert_gt(model.crashes, SEEDS);
	cr_assert_gt(model.undone, model.crashes / 20);
	cr_assert_lt(model.undone, model.crashes);
	cr_assert_gt(model.lost, model.crashes / 4);
	cr_assert_gt(model.grown, model.crashes / 8);
}
