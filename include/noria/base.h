/* SPDX-License-Identifier: MIT */
/*
 * What every public header of noria starts from: linkage, attributes, and source places.
 *
 * Return values follow one convention everywhere: a result >= 0, or a negative errno. errno itself is never read or
 * written for the caller. A function whose comment says "checkpoint" answers -ECANCELED when the task's scope is
 * cancelled, and may let other tasks run. One whose comment says "not a checkpoint" never answers -ECANCELED for that
 * reason, and lets no other task run unless it says that it may park.
 */
#ifndef NORIA_BASE_H
#define NORIA_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
#define NORIA_BEGIN_DECLS extern "C" {
#define NORIA_END_DECLS   }
#define NORIA_AUTO_       auto
#define NORIA_ASSERT_     static_assert
#else
#define NORIA_BEGIN_DECLS
#define NORIA_END_DECLS
#define NORIA_AUTO_   __auto_type
#define NORIA_ASSERT_ _Static_assert
#endif

#define NORIA_PUBLIC __attribute__((visibility("default")))
/* The result tells whether it worked: the compiler warns when it is dropped. */
#define NORIA_CHECKED __attribute__((warn_unused_result))

/* A place in the source, captured at compile time by the macros below; it costs nothing at run time. */
struct noria_site {
	const char *file;     /* as the compiler was given it */
	const char *function; /* the function that contains the place */
	const char *what;     /* what stands there: the spawned function's name, "group", "scope" */
	int line;
};

#define NORIA_SITE(text) NORIA_SITE_AS_(NORIA_UNIQUE_(noria_site_), text)
#define NORIA_SITE_AS_(site_, text) \
	(__extension__({ \
		static const struct noria_site site_ = {__FILE__, __func__, text, __LINE__}; \
		&site_; \
	}))

/* Of values that can be errors. */
#define NORIA_SIGNED_(value) \
	NORIA_ASSERT_((__typeof__(value))-1 < (__typeof__(value))1, \
		      "this must be a signed integer: errors are negative")

/*
 * Give an error upward: evaluates to the value of `expression`, or returns it from the calling function if negative.
 * The place is added to the path of the task's current error (failure.h).
 */
#define noria_try(expression) NORIA_TRY_AS_(NORIA_UNIQUE_(noria_tried_), expression)
#define NORIA_TRY_AS_(tried_, expression) \
	(__extension__({ \
		NORIA_AUTO_ tried_ = (expression); \
		NORIA_SIGNED_(tried_); \
		if (__builtin_expect(tried_ < 0, 0)) \
			return noria_tried_at((int)tried_, NORIA_SITE("try"), __builtin_frame_address(0), \
					      __builtin_return_address(0)); \
		tried_ += 0; /* the value, which may be dropped without a warning */ \
	}))
NORIA_BEGIN_DECLS
NORIA_PUBLIC int noria_tried_at(int code, const struct noria_site *site, const void *frame, const void *caller);
NORIA_END_DECLS

/* Names that do not shadow one another where these macros are nested. */
#define NORIA_UNIQUE_(prefix) NORIA_CONCAT_(prefix, __COUNTER__)
#define NORIA_CONCAT_(a, b)   NORIA_CONCAT2_(a, b)
#define NORIA_CONCAT2_(a, b)  a##b

#endif
