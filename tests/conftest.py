"""What holds for every test: torch computes in one thread, so that sums are rounded alike, and so
do the processes that tests start."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported anywhere
