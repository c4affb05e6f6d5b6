"""
Our server with 127.0.0.2 and the like as other machines, so that limits per address hold for them.

For benchmarks and tests only, which have no other machine: to the product the whole network
127.0.0.0/8 is its own.
"""

import sys

from puskesmas_queue.cli import main
from puskesmas_queue.web import addresses

if __name__ == "__main__":
    addresses.is_this_machine = lambda address: str(address) == "127.0.0.1"
    sys.argv[0] = "puskesmas-queue"
    main()
