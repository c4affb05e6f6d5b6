"""The guard that keeps tests on this machine."""

import socket

import pytest

from support.sockets import REACHED, OutsideNetwork


def test_other_machines_are_out_of_reach():
    with socket.socket() as one, pytest.raises(OutsideNetwork):
        one.connect(("192.0.2.1", 80))

    assert REACHED == [("192.0.2.1", 80)]
    REACHED.clear()


def test_this_machine_is_not():
    with socket.create_server(("127.0.0.1", 0)) as here:
        socket.create_connection(here.getsockname()).close()
