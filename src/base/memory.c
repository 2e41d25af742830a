/* SPDX-License-Identifier: MIT */
/* The one place in which a test kit says what fails; the rest is inline, so that asking costs a load and a branch. */
#include "base/memory.h"

bool (*noria_memory_fails)(void);
