/* SPDX-License-Identifier: MIT */
/*
 * Blocks: aligned memory for O_DIRECT, a pool of equal pieces that tasks take and put back. The pool is registered with
 * the runtime's ring where that is possible, so that the kernel need not map its pages for each operation:
 * noria_read(), noria_write(), noria_pread() and noria_pwrite() notice by themselves that their memory lies in a block.
 * Where it is not (an older kernel, RLIMIT_MEMLOCK) everything means the same and costs a little more.
 *
 * A pool watches over its blocks: one that an operation is using cannot be put back, and one that was put back cannot
 * be used by those four calls (nor by noria_recv() and noria_send()): -EFAULT, as behind the last block of the pool. A
 * pool belongs to its runtime. All since 0.2.
 */
#ifndef NORIA_BLOCK_H
#define NORIA_BLOCK_H

#include <noria/base.h>

NORIA_BEGIN_DECLS

struct noria_blocks;

/*
 * noria_blocks_open - make a pool.
 * @count: blocks, at least 1
 * @size: bytes of each; a multiple of the alignment, and all of them at most 1 GiB
 * @alignment: of each in memory, a power of two up to 2 MiB, as noria_direct_alignment() tells; 0: 4096
 * @ret_blocks: set to the pool, which is to be closed; it is closed for the task that opened it and forgets that, whose
 * failure that is
 * Returns: 0; -EINVAL; -ENOMEM; -ENXIO outside a runtime. Not a checkpoint.
 */
#define noria_blocks_open(count, size, alignment, ret_blocks) \
	noria_blocks_open_at((count), (size), (alignment), (ret_blocks), NORIA_SITE("pool of blocks"))
NORIA_PUBLIC NORIA_CHECKED int noria_blocks_open_at(size_t count, size_t size, size_t alignment,
						    struct noria_blocks **ret_blocks, const struct noria_site *site);

/*
 * noria_blocks_registered - is it registered with the ring? 1, or the negative errno for which it is not: -EOPNOTSUPP,
 * -ENOMEM (raise RLIMIT_MEMLOCK), -ENOSPC (64 pools are). Not a checkpoint.
 */
NORIA_PUBLIC int noria_blocks_registered(const struct noria_blocks *blocks);

/*
 * noria_blocks_close - give the memory back; NULL is fine. Tasks that wait for a block are told -EBADF.
 * Returns: 0; -EBUSY while blocks are taken (noria_message() says how many, and where one was): put them back first.
 * Not a checkpoint.
 */
NORIA_PUBLIC int noria_blocks_close(struct noria_blocks *blocks);

/*
 * noria_block_get - take a block; waits until one is free, first come, first served.
 * @ret_block: set to it; what is in it is left from before
 * Returns: 0; -ECANCELED; -EBADF when the pool was closed meanwhile; -ENXIO outside a runtime. Checkpoint.
 */
#define noria_block_get(blocks, ret_block) noria_block_get_at((blocks), (ret_block), NORIA_SITE("block"))
NORIA_PUBLIC NORIA_CHECKED int noria_block_get_at(struct noria_blocks *blocks, void **ret_block,
						  const struct noria_site *site);

/*
 * noria_block_put - put a block back; any task of the runtime may. NULL is fine.
 * Returns: 0; -EBUSY while an operation is using it (it stays taken); -EINVAL when it is not a block that was taken;
 * -ENXIO outside a runtime. Not a checkpoint.
 * `noria_autoblock void *block = NULL;` is put back at the end of its block of code.
 */
NORIA_PUBLIC int noria_block_put(void *block);
#define noria_autoblock __attribute__((cleanup(noria_autoblock_), unused))
NORIA_PUBLIC void noria_autoblock_(void *block);

/*
 * noria_direct_alignment - what O_DIRECT asks for on an open file: of memory, offsets and sizes.
 * Returns: the number that suits all three; 4096 where the file system does not tell; -EOPNOTSUPP when O_DIRECT does
 * not work there; the errors of statx(2). Checkpoint.
 */
NORIA_PUBLIC NORIA_CHECKED int noria_direct_alignment(int fd);

NORIA_END_DECLS
#endif
