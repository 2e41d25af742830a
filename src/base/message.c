/* SPDX-License-Identifier: MIT */
/*
 * Keeps the last refusal of each thread. The buffer is thread-local: two runtimes in two threads do not see each
 * other's texts.
 */
#include "base/message.h"

#include "noria/task.h"

#include <stdarg.h>
#include <stdio.h>

static __thread char message[768];

int noria_refuse(int code, const char *format, ...)
{
	va_list list;

	va_start(list, format);
	vsnprintf(message, sizeof message, format, list);
	va_end(list);
	return code;
}

const char *noria_message(void)
{
	return message;
}
