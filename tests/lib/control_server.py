#!/usr/bin/env python3
"""Stands in for the supervisor's control socket: control_server.py SOCKET REPLY COUNT.

Answers COUNT connections with the line REPLY each and prints what they sent, one JSON string a line, so that a test can
compare bytes. REPLY "close" answers nothing.
"""
import json
import os
import socket
import sys

path, reply, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
server = socket.socket(socket.AF_UNIX)
server.bind(path + ".new")
server.listen(4)
os.rename(path + ".new", path)  # there only when it can be connected to
for _ in range(count):
    peer, _address = server.accept()
    line = b""
    while not line.endswith(b"\n"):
        chunk = peer.recv(65536)
        if not chunk:
            break
        line += chunk
    print(json.dumps(line.decode("utf-8")), flush=True)
    if reply != "close":
        peer.sendall(reply.encode() + b"\n")
    peer.close()
