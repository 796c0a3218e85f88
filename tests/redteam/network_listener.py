#!/usr/bin/python3
"""The host's side of network_attacks.py: network_listener.py ABSTRACT prints the port, then serves two minutes."""
import select
import signal
import socket
import sys

signal.alarm(120)


def bound(family, kind, address):
    s = socket.socket(family, kind)
    s.bind(address)
    if kind == socket.SOCK_STREAM:
        s.listen(16)
    return s


def take():
    """One port for both kinds and versions."""
    for _ in range(50):
        sockets = [bound(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 0))]
        port = sockets[0].getsockname()[1]
        try:
            sockets.append(bound(socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", port)))
            sockets.append(bound(socket.AF_INET6, socket.SOCK_STREAM, ("::1", port)))
            sockets.append(bound(socket.AF_INET6, socket.SOCK_DGRAM, ("::1", port)))
            return port, sockets
        except OSError:
            if len(sockets) == 2 and not has_six():
                return port, sockets
    sys.exit("no port")


def has_six():
    try:
        bound(socket.AF_INET6, socket.SOCK_STREAM, ("::1", 0)).close()
        return True
    except OSError:
        return False


port, sockets = take()
sockets.append(bound(socket.AF_UNIX, socket.SOCK_STREAM, "\0" + sys.argv[1]))
sockets.append(bound(socket.AF_UNIX, socket.SOCK_DGRAM, "\0" + sys.argv[1] + "-dgram"))
print(port, flush=True)
while True:
    for s in select.select(sockets, [], [])[0]:
        if s.type == socket.SOCK_DGRAM:
            data, who = s.recvfrom(100)
            if who and s.family != socket.AF_UNIX:
                s.sendto(data, who)
        else:
            s.accept()[0].close()
