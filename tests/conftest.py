"""What holds for every test, and for the processes that tests start."""

import os
import signal

# torch computes in one thread, so that sums are rounded alike; before it is imported anywhere
os.environ.setdefault("OMP_NUM_THREADS", "1")

# a shell that runs the tests in the background lets them ignore Ctrl-C, which some of them send
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
