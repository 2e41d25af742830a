/* SPDX-License-Identifier: MIT */
/*
 * The text behind a refusal: an errno says what, this says why and what to do (noria_message()). One buffer a thread,
 * so that refusing never allocates.
 */
#ifndef NORIA_BASE_MESSAGE_H
#define NORIA_BASE_MESSAGE_H

/* Keep the text and return `code`, so that a refusal is one statement. */
__attribute__((format(printf, 2, 3))) int noria_refuse(int code, const char *format, ...);

#endif
