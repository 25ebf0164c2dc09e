"""Worker processes of this machine that end at once, and only when their cluster does.

Which clusters there are is known next door.
"""

from __future__ import annotations

import logging
import signal
import threading

from distributed import Nanny, Worker, WorkerPlugin


class QuickNanny(Nanny):
    """Ends its worker without waiting for the calls that still run in it.

    Nobody wants their results any more, and what they write is whole or not there. Dask's own waits for them some
    seconds, as long as a kernel may take to compile, and then complains of a worker that is still alive.
    """

    async def kill(self, timeout: float = 5, reason: str = "nanny-kill") -> None:
        """End the worker process.

        Parameters
        ----------
        timeout : float
            Seconds.
        reason : str
            For the log.
        """
        if self.process is not None:
            await self.process.kill(timeout=timeout, executor_wait=False, reason=reason)


class Quiet(WorkerPlugin):
    """Lets a worker go on at Ctrl-C, which terminals send to all processes, and say nothing when it is ended."""

    def setup(self, worker: Worker) -> None:
        """Ignore interrupts in the process of a worker, and leave unsaid that closing it cancels what it was doing."""
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        logging.getLogger("distributed.worker.state_machine").addFilter(_says_more_than_cancelled)


def _says_more_than_cancelled(record: logging.LogRecord) -> bool:
    return not record.getMessage().endswith("ended with CancelledError")
