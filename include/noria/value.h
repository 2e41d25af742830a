/* SPDX-License-Identifier: MIT */
/*
 * Context values: what belongs to a task and to all that it spawns, and would otherwise be a parameter of every
 * function: the number of a request, the user it is for, a place to log to.
 *
 * A task starts with the values of the task that spawned it, whichever group it is spawned into. From then on the two
 * go apart: what either sets later, the other does not see. Calls on other threads (noria_offload()) read the values of
 * their caller. Taking the values over costs one pointer, however many there are.
 *
 * A value is anything of up to 8 bytes that can be copied as bytes: a number, a pointer, a small structure. Its key
 * says the type, and the compiler checks it, as in an assignment. Nothing here is a checkpoint. All since 0.2.
 */
#ifndef NORIA_VALUE_H
#define NORIA_VALUE_H

#include <noria/base.h>

NORIA_BEGIN_DECLS

/*
 * NORIA_KEY - declare a key of an unqualified type, for a header: `NORIA_KEY(request_id, const char *);`
 * NORIA_KEY_DEFINE - define it, in one file: `NORIA_KEY_DEFINE(request_id);`
 * NORIA_KEY_STATIC - both at once, for a key of one file: `NORIA_KEY_STATIC(attempt, int);`
 *
 * NORIA_KEY_DEFINE_OWNED, NORIA_KEY_STATIC_OWNED - the same, and the values of this key are owned: `release(value)` is
 * called exactly once for each value that was set, as soon as no task has it any more. Until then tasks share it. It
 * runs on the runtime's thread, in the task that had it last, and must not park.
 */
#define NORIA_KEY(name, type) \
	NORIA_KEY_TYPE_(name, type); \
	extern const struct noria_key_of_##name name
#define NORIA_KEY_DEFINE(name) const struct noria_key_of_##name name = {{#name, 0}, 0}
#define NORIA_KEY_DEFINE_OWNED(name, release) \
	NORIA_KEY_RELEASE_(name, release) \
	const struct noria_key_of_##name name = {{#name, noria_release_##name##_}, 0}
#define NORIA_KEY_STATIC(name, type) \
	NORIA_KEY_TYPE_(name, type); \
	__attribute__((unused)) static const struct noria_key_of_##name name = {{#name, 0}, 0}
#define NORIA_KEY_STATIC_OWNED(name, type, release) \
	NORIA_KEY_TYPE_(name, type); \
	NORIA_KEY_RELEASE_OF_(name, struct noria_key_of_##name, release) \
	__attribute__((unused)) static const struct noria_key_of_##name name = {{#name, noria_release_##name##_}, 0}

/*
 * noria_value_set - the calling task has this value from now on, and so have the tasks that it spawns from now on.
 * @key: the address of a key
 * @value: of the key's type
 *
 * Returns: 0; -ENOMEM; -EPERM in an offloaded call, which can only read (noria_message() names the key); -ENXIO outside
 * a runtime. After an error nothing has changed, and an owned value is still the caller's.
 */
#define noria_value_set(key, value) noria_value_set_(&(key)->untyped, NORIA_VALUE_BITS_(key, value))

/*
 * noria_value_get - the calling task's value, or in an offloaded call that of its caller.
 * Returns: the value, of the key's type; zero when it was never set, or outside a runtime. An owned value is valid
 * until the task sets or unsets the key, or ends.
 */
#define noria_value_get(key) NORIA_VALUE_OF_(key, noria_value_get_(&(key)->untyped), NORIA_UNIQUE_(noria_held_))

/*
 * noria_value_unset - the calling task has no value for the key any more. Returns: 0, also if it had none; or an error
 * as for noria_value_set().
 */
#define noria_value_unset(key) noria_value_unset_(&(key)->untyped)

/*
 * noria_with_value - evaluate `expression`, which answers >= 0 or a negative errno, with another value for the key:
 *     int r = noria_with_value(&request_id, id, serve(connection));
 *
 * Afterwards the key has its former value, or none if it had none; so it is when the expression is left by `return`.
 * Tasks that were spawned meanwhile keep the value. What the expression sets for other keys stays set, unless there is
 * no memory to put the two together: then it is lost, and the former values stand.
 * Value: the expression's; or, without evaluating it, an error as for noria_value_set().
 */
#define noria_with_value(key, value, expression) \
	NORIA_WITH_VALUE_AS_(NORIA_UNIQUE_(noria_saved_), NORIA_UNIQUE_(noria_code_), NORIA_UNIQUE_(noria_answer_), \
			     key, value, expression)

/* A key without its type. */
struct noria_key {
	const char *name;
	void (*release)(uint64_t bits);
};

/* What noria_with_value() puts back. */
struct noria_value_saved {
	uint64_t opaque[4];
};

NORIA_PUBLIC NORIA_CHECKED int noria_value_set_(const struct noria_key *key, uint64_t bits);
NORIA_PUBLIC NORIA_CHECKED int noria_value_unset_(const struct noria_key *key);
NORIA_PUBLIC uint64_t noria_value_get_(const struct noria_key *key);
NORIA_PUBLIC NORIA_CHECKED int noria_value_push_(struct noria_value_saved *saved, const struct noria_key *key,
						 uint64_t bits);
NORIA_PUBLIC void noria_value_pop_(struct noria_value_saved *saved);

/* The type of a key's values is that of what `type_` points to, which is nothing. */
#ifdef __cplusplus
#define NORIA_KEY_TYPE_(name, type) \
	struct noria_key_of_##name { \
		struct noria_key untyped; \
		__typeof__(type) *type_; \
	}; \
	static_assert(sizeof(type) <= sizeof(uint64_t), "a context value has at most 8 bytes"); \
	static_assert(__is_trivially_copyable(type), "a context value is copied as bytes")
#else
#define NORIA_KEY_TYPE_(name, type) \
	struct noria_key_of_##name { \
		struct noria_key untyped; \
		__typeof__(type) *type_; \
	}; \
	_Static_assert(sizeof(type) <= sizeof(uint64_t), "a context value has at most 8 bytes")
#endif

#define NORIA_KEY_RELEASE_(name, release) NORIA_KEY_RELEASE_OF_(name, __typeof__(name), release)
#define NORIA_KEY_RELEASE_OF_(name, key_type, release) \
	static void noria_release_##name##_(uint64_t bits_) \
	{ \
		__typeof__(*((key_type *)0)->type_) value_; \
		__builtin_memcpy(&value_, &bits_, sizeof value_); \
		release(value_); \
	}

#define NORIA_VALUE_BITS_(key, value) \
	NORIA_VALUE_BITS_AS_(NORIA_UNIQUE_(noria_held_), NORIA_UNIQUE_(noria_bits_), key, value)
#define NORIA_VALUE_BITS_AS_(held_, bits_, key, value) \
	(__extension__({ \
		__typeof__(*(key)->type_) held_ = (value); \
		uint64_t bits_ = 0; \
		__builtin_memcpy(&bits_, &held_, sizeof held_); \
		bits_; \
	}))
#define NORIA_VALUE_OF_(key, bits, held_) NORIA_VALUE_OF_AS_(key, bits, held_, NORIA_UNIQUE_(noria_bits_))
#define NORIA_VALUE_OF_AS_(key, bits, held_, bits_) \
	(__extension__({ \
		uint64_t bits_ = (bits); \
		__typeof__(*(key)->type_) held_; \
		__builtin_memcpy(&held_, &bits_, sizeof held_); \
		held_; \
	}))
#define NORIA_WITH_VALUE_AS_(saved_, code_, answer_, key, value, expression) \
	(__extension__({ \
		__attribute__((cleanup(noria_value_pop_))) struct noria_value_saved saved_; \
		int code_ = noria_value_push_(&saved_, &(key)->untyped, NORIA_VALUE_BITS_(key, value)); \
		NORIA_AUTO_ answer_ = code_ < 0 ? code_ : (expression); \
		answer_ += 0; \
	}))

NORIA_END_DECLS
#endif
