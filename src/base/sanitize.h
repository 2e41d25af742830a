/* SPDX-License-Identifier: MIT */
/* Which sanitizers this build is for: NORIA_ASAN and NORIA_TSAN are 0 or 1, with gcc and with clang. */
#ifndef NORIA_BASE_SANITIZE_H
#define NORIA_BASE_SANITIZE_H

#if defined(__SANITIZE_ADDRESS__)
#define NORIA_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define NORIA_ASAN 1
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define NORIA_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define NORIA_TSAN 1
#endif
#endif

#ifndef NORIA_ASAN
#define NORIA_ASAN 0
#endif
#ifndef NORIA_TSAN
#define NORIA_TSAN 0
#endif

#endif
