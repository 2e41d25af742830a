#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
#
# The asyncio side of docs/coming-from.md (Python 3.11 or newer). Run it: it shall end without an error.

import asyncio
import contextlib
import contextvars
import logging
import os
import signal
import time


class Page:
    def __init__(self, url, delay=0.0, error=None):
        self.url, self.delay, self.error = url, delay, error


async def fetch(page):
    await asyncio.sleep(page.delay)
    if page.error:
        raise page.error(page.url)
    return 200


# [taskgroup]
async def both():
    async with asyncio.TaskGroup() as group:
        a = group.create_task(fetch(Page("/a")))
        b = group.create_task(fetch(Page("/b")))
    print(a.result(), b.result())
# [end]


# [except]
async def crawl(pages):
    try:
        async with asyncio.TaskGroup() as group:
            for page in pages:
                group.create_task(fetch(page))
    except* ConnectionRefusedError as refused:
        for error in refused.exceptions:
            print("skipped:", error)
# [end]


# [gather]
async def gather(pages):
    results = await asyncio.gather(*map(fetch, pages), return_exceptions=True)
    for page, result in zip(pages, results):
        print(page.url, repr(result))
# [end]


# [race]
async def fastest(mirrors):
    tasks = {asyncio.create_task(fetch(mirror)) for mirror in mirrors}
    errors = []
    try:
        while tasks:
            done, tasks = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                if not task.exception():
                    return task.result()
                errors.append(task.exception())
        raise ExceptionGroup("no mirror", errors)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
# [end]


# [completed]
async def as_completed(pages):
    for future in asyncio.as_completed([fetch(page) for page in pages]):
        try:
            print("here is a", await future)
        except OSError as error:
            print(error)
# [end]


# [forget]
background = set()


def log_failure(task):
    background.discard(task)
    if not task.cancelled() and task.exception():
        logging.error("a failure in the background", exc_info=task.exception())


async def handle_requests(mail):
    task = asyncio.create_task(fetch(mail))
    background.add(task)  # else it may be collected while it runs
    task.add_done_callback(log_failure)
# [end]


# [start]
async def listen_somewhere(ready):
    try:
        server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1")
        ready.set_result(server.sockets[0].getsockname()[1])
    except OSError as error:
        ready.set_exception(error)
        return
    async with server:
        await server.serve_forever()


async def with_listener():
    async with asyncio.TaskGroup() as group:
        ready = asyncio.get_running_loop().create_future()
        listener = group.create_task(listen_somewhere(ready))
        print("listens on", await ready)
        listener.cancel()
# [end]


# [release]
async def with_release():
    async with contextlib.AsyncExitStack() as stack:
        stack.callback(print, "remove first.sock")
        stack.callback(print, "remove second.sock")
# [end]


async def query():
    await asyncio.sleep(10)


# [within]
async def wait_for():
    try:
        await asyncio.wait_for(query(), 0.02)
    except TimeoutError:
        print("too late")
# [end]


# [scope]
async def timeout():
    async with asyncio.timeout(0.02):
        await query()
        await query()
# [end]


# [until]
async def timeout_at(when):
    async with asyncio.timeout_at(when):
        await query()
    async with asyncio.timeout_at(when):
        await query()
# [end]


async def send_bye():
    await asyncio.sleep(0.001)
    print("bye")


# [shield]
async def session():
    try:
        await query()
    finally:
        bye = asyncio.create_task(send_bye())
        async with asyncio.timeout(1):
            await asyncio.shield(bye)
# [end]


# [cancel]
async def cancel_one():
    async with asyncio.TaskGroup() as group:
        child = group.create_task(session())
        await asyncio.sleep(0)
        child.cancel()
# [end]


# [thread]
def resolve():
    time.sleep(0.001)  # a call that blocks
    return 42


async def to_thread():
    print(await asyncio.to_thread(resolve))
# [end]


# [shutdown]
async def job():
    await asyncio.sleep(0.02)


async def worker(stopping):
    while not stopping.is_set():
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(60):
                await stopping.wait()
                return
        await job()


async def serve():
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    async with asyncio.TaskGroup() as group:
        group.create_task(worker(stopping))
        await asyncio.sleep(0)
        os.kill(os.getpid(), signal.SIGTERM)
    print("in good order")
# [end]


# [values]
request_id = contextvars.ContextVar("request_id", default="-")


async def child():
    print("request", request_id.get())
    request_id.set("changed")  # its own


async def with_value():
    request_id.set("r-17")
    async with asyncio.TaskGroup() as group:
        group.create_task(child())
    print("request", request_id.get())
# [end]


# [channel]
async def work(jobs):
    while (job := await jobs.get()) is not None:
        print("job", job)


async def pipeline():
    jobs = asyncio.Queue(maxsize=2)
    async with asyncio.TaskGroup() as group:
        group.create_task(work(jobs))
        for number in range(1, 5):
            await jobs.put(number)
        await jobs.put(None)  # the end; one for each worker
# [end]


# [mutex]
mutex = asyncio.Lock()


async def save(job):
    async with mutex:
        await put_on_disk(job)
# [end]


# [semaphore]
connections = asyncio.Semaphore(10)


async def use_connection(job):
    async with connections:
        await put_on_disk(job)
# [end]


async def put_on_disk(number):
    await asyncio.sleep(0)


# [future]
async def wait_for_callback():
    loop = asyncio.get_running_loop()
    future = loop.create_future()
    loop.run_in_executor(None, lambda: loop.call_soon_threadsafe(future.set_result, 42))
    print("the other thread says", await future)
# [end]


async def main():
    pages = [Page("/slow", 0.02), Page("/down", 0.01, ConnectionRefusedError), Page("/quick")]
    await both()
    await crawl(pages)
    await gather(pages)
    assert await fastest(pages) == 200
    await as_completed(pages)
    await handle_requests(Page("mail"))
    await with_listener()
    await with_release()
    await wait_for()
    for late in (timeout(), timeout_at(asyncio.get_running_loop().time() + 0.02)):
        try:
            await late
        except TimeoutError:
            continue
        raise AssertionError("that was no timeout")
    await cancel_one()
    await to_thread()
    await with_value()
    await pipeline()
    await save(1)
    await use_connection(2)
    await wait_for_callback()
    await serve()


if __name__ == "__main__":
    asyncio.run(main())
