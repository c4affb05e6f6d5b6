"""
A client that sends as fast as it is answered, from an address of its own, until its input ends.

    python bench/flooder.py PORT ADDRESS CONNECTIONS keep|new

Prints "go" once all connections stand, and at its end one line: how many answers came, by status.
"""

import asyncio
import json
import sys
from collections import Counter

REQUEST = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n"
statuses: Counter[str] = Counter()


async def hammer(port: int, source: str, keeps: bool) -> None:
    """Send for ever on one connection, or on ever new ones."""
    more = b"\r\n" if keeps else b"Connection: close\r\n\r\n"
    while True:
        try:
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", port, local_addr=(source, 0)
            )
        except OSError:
            statuses["refused"] += 1
            await asyncio.sleep(0.01)
            continue
        try:
            while True:
                writer.write(REQUEST + more)
                head = await reader.readuntil(b"\r\n\r\n")
                statuses[head[9:12].decode()] += 1
                length = next(
                    (
                        int(line.split(b":")[1])
                        for line in head.split(b"\r\n")
                        if line.startswith(b"content-length:")
                    ),
                    0,
                )
                await reader.readexactly(length)
                if not keeps:
                    break
        except (OSError, asyncio.IncompleteReadError):
            statuses["cut off"] += 1
        finally:
            writer.close()


async def main() -> None:
    """Hammer until the input ends."""
    port, source, count, how = sys.argv[1:]
    tasks = [
        asyncio.create_task(hammer(int(port), source, how == "keep")) for _ in range(int(count))
    ]
    print("go", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    print(json.dumps(statuses), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
