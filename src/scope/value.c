/* SPDX-License-Identifier: MIT */
/*
 * Changing context values: in place where the array is the task's alone, in a copy where it is shared. There are few
 * values, so they are looked for one by one.
 */
#include "scope/value.h"

#include "base/memory.h"
#include "base/message.h"
#include "task/loop.h"

#include <errno.h>
#include <stdlib.h>

/* What a noria_with_value() keeps. It holds both arrays, so that any change inside it is made in a third one. */
struct saved {
	struct task *task; /* NULL: the value could not be set, nothing is to be put back */
	const struct noria_key *key;
	struct values *former, *pushed;
};

_Static_assert(sizeof(struct saved) <= sizeof(struct noria_value_saved), "struct noria_value_saved is too small");

enum { ROOM_STEP = 4 };

/* Whose values this thread reads while it runs an offloaded call. */
static __thread struct {
	bool lent;
	const struct values *values;
} borrowed;

void noria_values_lend(bool lent, const struct values *values)
{
	borrowed.lent = lent;
	borrowed.values = values;
}

/* The task whose values are to be changed; NULL, with the code to answer, where there is none. */
static struct task *changer(const struct noria_key *key, int *ret_code)
{
	bool in_task = noria_loop && noria_loop->current;

	if (!in_task && borrowed.lent) {
		*ret_code =
			noria_refuse(-EPERM,
				     "an offloaded call changes the context value %s of its caller. Remedy: let the "
				     "call return what it came to, and the caller set it",
				     key->name);
		return NULL;
	}
	*ret_code = -ENXIO;
	return noria_current();
}

/* Where a key stands; values->count if it does not. */
static unsigned find(const struct values *values, const struct noria_key *key)
{
	unsigned i = 0;

	while (i < values->count && values->bindings[i]->key != key)
		i++;
	return i;
}

static struct binding *binding_of(const struct values *values, const struct noria_key *key)
{
	unsigned i = values ? find(values, key) : 0;

	return values && i < values->count ? values->bindings[i] : NULL;
}

static void unref_binding(struct binding *binding)
{
	struct binding old = *binding;

	if (--binding->refs > 0)
		return;
	free(binding);
	if (old.key->release)
		old.key->release(old.bits);
}

void noria_values_unref(struct values *values)
{
	if (!values || --values->refs > 0)
		return;
	while (values->count > 0)
		unref_binding(values->bindings[--values->count]);
	free(values);
}

/* The task's array becomes its own, with room for `more`. False: no memory, and nothing has changed. */
static bool make_own(struct task *task, unsigned more)
{
	struct values *old = task->values, *values;
	unsigned count = old ? old->count : 0;

	if (old && old->refs == 1 && count + more <= old->room)
		return true;
	values = memory_new(sizeof *values + (count + ROOM_STEP) * sizeof values->bindings[0]);
	if (!values)
		return false;
	*values = (struct values){.refs = 1, .count = count, .room = count + ROOM_STEP};
	for (unsigned i = 0; i < count; i++) {
		values->bindings[i] = old->bindings[i];
		values->bindings[i]->refs++;
	}
	task->values = values;
	noria_values_unref(old);
	return true;
}

/*
 * Let a key have this binding, which gets a further reference; NULL: none. False: no memory, and nothing has changed.
 */
static bool put(struct task *task, const struct noria_key *key, struct binding *binding)
{
	struct binding *old = binding_of(task->values, key);
	struct values *values;
	unsigned i;

	if (old == binding)
		return true;
	if (!make_own(task, !old))
		return false;
	values = task->values;
	i = find(values, key);
	if (binding) {
		binding->refs++;
		values->bindings[i] = binding;
		values->count += i == values->count;
	} else {
		values->bindings[i] = values->bindings[--values->count];
	}
	if (old)
		unref_binding(old); /* last: a release function may come back here */
	return true;
}

/* A new binding in the task's array. */
static bool bind(struct task *task, const struct noria_key *key, uint64_t bits)
{
	struct binding *binding = memory_new(sizeof *binding);

	if (!binding)
		return false;
	*binding = (struct binding){.key = key, .bits = bits};
	if (put(task, key, binding))
		return true;
	free(binding);
	return false;
}

static int refuse_memory(const struct noria_key *key)
{
	return noria_refuse(-ENOMEM, "no memory for the context value %s", key->name);
}

int noria_value_set_(const struct noria_key *key, uint64_t bits)
{
	int code;
	struct task *task = changer(key, &code);

	if (!task)
		return code;
	return bind(task, key, bits) ? 0 : refuse_memory(key);
}

int noria_value_unset_(const struct noria_key *key)
{
	int code;
	struct task *task = changer(key, &code);

	if (!task)
		return code;
	return put(task, key, NULL) ? 0 : refuse_memory(key);
}

uint64_t noria_value_get_(const struct noria_key *key)
{
	bool in_task = noria_loop && noria_loop->current;
	const struct binding *binding = binding_of(in_task ? noria_loop->current->values : borrowed.values, key);

	return binding ? binding->bits : 0;
}

int noria_value_push_(struct noria_value_saved *storage, const struct noria_key *key, uint64_t bits)
{
	struct saved *saved = (struct saved *)storage;
	int code;
	struct task *task = changer(key, &code);

	saved->task = NULL;
	if (!task)
		return code;
	saved->former = task->values;
	if (saved->former)
		saved->former->refs++;
	if (!bind(task, key, bits)) {
		noria_values_unref(saved->former);
		return refuse_memory(key);
	}
	saved->task = task;
	saved->key = key;
	saved->pushed = task->values;
	saved->pushed->refs++;
	return 0;
}

/*
 * Usually nothing was set inside, and the former array comes back as it was. Otherwise the key's former binding goes
 * into the array as it is now; when that takes memory and there is none, what was set inside is given up rather than
 * that a value outlasts its expression.
 */
void noria_value_pop_(struct noria_value_saved *storage)
{
	struct saved *saved = (struct saved *)storage;
	struct task *task = saved->task;

	if (!task)
		return;
	if (task->values != saved->pushed && put(task, saved->key, binding_of(saved->former, saved->key))) {
		noria_values_unref(saved->former);
	} else {
		struct values *inner = task->values;

		task->values = saved->former;
		noria_values_unref(inner);
	}
	noria_values_unref(saved->pushed);
}
