/* SPDX-License-Identifier: MIT */
/* The tree of scopes and tasks as a text, for reports. */
#ifndef NORIA_RUNTIME_TREE_H
#define NORIA_RUNTIME_TREE_H

#include <stddef.h>

struct scope;

/*
 * On the hub: a line for each scope and each task beneath `root`, indented as they nest, with what the task waits for;
 * then the stacks, as far as there is room. Lines that find no room are counted.
 */
void noria_describe_tree(struct scope *root, char *text, size_t size);

#endif
