/* SPDX-License-Identifier: MIT */
/*
 * How a run is asked for, as a text: NORIA_SIM="seed=42,faults=reset@3,loss%1,schedule=pct". Pieces are separated by
 * commas; one without a name belongs to the piece before it, so that a plan of faults needs no quotes of its own.
 */
#include "testing/kit.h"

#include "base/message.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const int64_t TIME_LIMIT_NS = INT64_C(3600) * 1000000000;

static const char *const schedules[] = {"random", "pct", "fifo"};

static int refuse(const char *piece, const char *remedy)
{
	return noria_refuse(-EINVAL, "NORIA_SIM: '%s': %s", piece, remedy);
}

static int take_number(const char *piece, const char *value, uint64_t *ret_number)
{
	char *end;

	errno = 0;
	*ret_number = strtoull(value, &end, 10);
	return errno || end == value || *end || *value == '-' ? refuse(piece, "is not a number") : 0;
}

/* "90s", "5m", "100ms" */
static int take_limit(const char *piece, const char *value, int64_t *ret_ns)
{
	char *end;
	long long n = strtoll(value, &end, 10);

	if (end == value || n <= 0)
		return refuse(piece, "is no duration, such as 90s");
	if (strcmp(end, "ms") == 0)
		*ret_ns = noria_msec(n);
	else if (strcmp(end, "m") == 0)
		*ret_ns = noria_sec(n < INT64_MAX / 60 ? n * 60 : INT64_MAX);
	else if (strcmp(end, "s") == 0 || !*end)
		*ret_ns = noria_sec(n);
	else
		return refuse(piece, "is no duration, such as 90s");
	return 0;
}

static int take_schedule(const char *piece, const char *value, struct noria_sim_options *options)
{
	uint64_t changes;

	for (unsigned i = 0; i < sizeof schedules / sizeof schedules[0]; i++)
		if (strcmp(value, schedules[i]) == 0) {
			options->schedule = (enum noria_sim_schedule)i;
			return 0;
		}
	if (strncmp(value, "pct", 3) != 0 || take_number(piece, value + 3, &changes) < 0 || changes > 16)
		return refuse(piece, "is none of random, pct, pct1 to pct16, fifo");
	options->schedule = NORIA_SIM_PCT;
	options->changes = (unsigned)changes;
	return 0;
}

static int take_world(const char *piece, const char *value, struct noria_sim_options *options)
{
	static const char *const worlds[] = {"simulated", "clock", "kernel"};

	for (unsigned i = 0; i < sizeof worlds / sizeof worlds[0]; i++)
		if (strcmp(value, worlds[i]) == 0) {
			options->world = (enum noria_sim_world)i;
			return 0;
		}
	return refuse(piece, "is none of simulated, clock, kernel");
}

/* "name=value" */
static int take(struct testing_spec *spec, const char *piece, struct noria_sim_options *options)
{
	const char *equals = strchr(piece, '='), *value = equals ? equals + 1 : "";
	size_t length = equals ? (size_t)(equals - piece) : 0;
	uint64_t number;

#define IS(name) (length == sizeof name - 1 && memcmp(piece, name, sizeof name - 1) == 0)
	if (IS("seed"))
		return take_number(piece, value, &options->seed);
	if (IS("faults"))
		options->faults = value;
	else if (IS("schedule"))
		return take_schedule(piece, value, options);
	else if (IS("world"))
		return take_world(piece, value, options);
	else if (IS("limit"))
		return take_limit(piece, value, &options->time_limit_ns);
	else if (IS("trace"))
		options->trace = value;
	else if (IS("script"))
		spec->script = value;
	else if (IS("report"))
		spec->report = value;
	else if (IS("check") || IS("leaks")) {
		if (take_number(piece, value, &number) < 0 || number > 1)
			return refuse(piece, "is neither 0 nor 1");
		*(piece[0] == 'c' ? &options->check : &options->leaks_allowed) = number;
	} else
		return refuse(piece, "has a name that is none of seed, faults, schedule, world, limit, trace, check, "
				     "leaks, script, report");
#undef IS
	return 0;
}

/* Where the next piece begins that has a name; what lies between goes with the one before. */
static char *next_piece(char *text)
{
	for (char *comma = strchr(text, ','); comma; comma = strchr(comma + 1, ',')) {
		size_t length = strcspn(comma + 1, ",=");

		if (comma[1 + length] == '=') {
			*comma = '\0';
			return comma + 1;
		}
	}
	return NULL;
}

int testing_spec_read(struct testing_spec *spec, struct noria_sim_options *options)
{
	const char *text = getenv("NORIA_SIM");
	int r = 0;

	spec->given = text && *text;
	spec->script = spec->report = NULL;
	if (!spec->given)
		return 0;
	if (strlen(text) >= sizeof spec->text)
		return refuse("...", "is too long");
	memcpy(spec->text, text, strlen(text) + 1);
	for (char *piece = spec->text, *next; piece; piece = next) {
		int taken;

		next = next_piece(piece);
		taken = take(spec, piece, options);
		r = r < 0 ? r : taken;
	}
	return r;
}

void testing_spec_print(const struct noria_sim_options *options, const char *script, char *text, size_t size)
{
	size_t n = (size_t)snprintf(text, size, "seed=%llu", (unsigned long long)options->seed);

#define ADD(...) (n += n < size ? (size_t)snprintf(text + n, size - n, __VA_ARGS__) : 0)
	if (options->faults && options->faults[0])
		ADD(",faults=%s", options->faults);
	if (options->schedule == NORIA_SIM_PCT)
		ADD(",schedule=pct%u", options->changes);
	else if (options->schedule != NORIA_SIM_RANDOM)
		ADD(",schedule=%s", schedules[options->schedule]);
	if (options->world == NORIA_SIM_CLOCK)
		ADD(",world=clock");
	else if (options->world == NORIA_SIM_KERNEL)
		ADD(",world=kernel");
	if (options->time_limit_ns != TIME_LIMIT_NS && options->time_limit_ns % 1000000 == 0)
		ADD(",limit=%lldms", (long long)(options->time_limit_ns / 1000000));
	if (options->check)
		ADD(",check=1");
	if (options->leaks_allowed)
		ADD(",leaks=1");
	if (script && script[0])
		ADD(",script=%s", script);
#undef ADD
}

int testing_options_fill(struct noria_sim_options *options)
{
	for (size_t i = 0; i < sizeof options->reserved / sizeof options->reserved[0]; i++)
		if (options->reserved[i])
			return noria_refuse(-EINVAL, "struct noria_sim_options: reserved must be zero");
	if ((unsigned)options->schedule > NORIA_SIM_FIFO || (unsigned)options->world > NORIA_SIM_KERNEL)
		return noria_refuse(-EINVAL, "struct noria_sim_options: schedule or world is not one of its enum");
	if (options->changes > 16 || options->time_limit_ns < 0)
		return noria_refuse(-EINVAL,
				    "struct noria_sim_options: at most 16 changes, and no negative time limit");
	options->changes = options->changes ? options->changes : 3;
	options->time_limit_ns = options->time_limit_ns ? options->time_limit_ns : TIME_LIMIT_NS;
	return 0;
}
