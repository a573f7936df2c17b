"""Runs test functions and tells how they went, in TAP."""

import os
import socket
import traceback

HUBS = os.environ["HUBS"]


def cut():
    """Has the proxy cut every connection that goes through it now."""
    with socket.create_connection(("127.0.0.1", int(os.environ["CUT_PORT"]))) as control:
        control.recv(1)


class Tests:
    def __init__(self):
        self.passed = self.failed = 0

    def over(self, name, error=None):
        number = self.passed + self.failed + 1
        if error is None:
            self.passed += 1
            print(f"ok {number} - {name}")
            return
        self.failed += 1
        print(f"not ok {number} - {name}")
        for line in "".join(traceback.format_exception(error)).splitlines():
            print(f"    {line}")

    def end(self):
        """Gives the process's exit code."""
        print(f"# pass {self.passed}\n# fail {self.failed}\n# skipped 0")
        return 1 if self.failed else 0
