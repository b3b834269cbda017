"""The threads that answer requests."""

from __future__ import annotations

from typing import Any

from waitress.task import ThreadedTaskDispatcher

from painchain.web.serving.processor import SharedProcessor


class Threads(ThreadedTaskDispatcher):  # type: ignore[misc]
    """Answers requests with at most `most` threads. One is started when a request finds none idle.

    waitress starts all of them at once, and gives requests to each in turn. Together they then take 2 MB more.
    """

    def __init__(self, most: int, processor: SharedProcessor):
        super().__init__()
        self._most = most
        self._processor = processor

    def handler_thread(self, thread_no: int) -> None:
        """Answer requests until the threads are told to stop."""
        with self._processor.shared():
            super().handler_thread(thread_no)

    def add_task(self, task: Any) -> None:
        """Give a request to a thread, and log a warning if it has to wait."""
        if waiting := self.put(task):
            self.queue_logger.warning("Task queue depth is %d", waiting)

    def put(self, task: Any) -> int:
        """Give a task to a thread. Return how many tasks have to wait: 0 if there are idle threads or a new one."""
        with self.queue_cv:
            self._processor.arrived(self.active_count + len(self.queue))
            self.queue.append(task)
            self.queue_cv.notify()
            waiting: int = len(self.queue) - (len(self.threads) - self.stop_count - self.active_count)
            if waiting > 0 and len(self.threads) < self._most and not self.stop_count:
                number = len(self.threads)
                self.threads.add(number)
                self.active_count += 1
                self.start_new_thread(self.handler_thread, number)
                return 0
            return max(waiting, 0)
