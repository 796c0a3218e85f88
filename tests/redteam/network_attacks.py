#!/usr/bin/python3
"""What a hostile program would try to reach or set up by sockets; one line "NAME RESULT" an attempt.

network_attacks.py kernel                     what only needs a kernel: controls run it in a namespace of their own
network_attacks.py host PORT ABSTRACT         what the host has: a listener on PORT of 127.0.0.1 and ::1 (TCP and UDP
                                              echo), and an abstract socket
RESULT is OK, the name of the errno, or what was found.
"""
import ctypes
import errno
import fcntl
import os
import socket
import struct
import sys

libc = ctypes.CDLL(None, use_errno=True)
LO_UP = struct.pack("16sh14x", b"lo", 0x1 | 0x40)


def attempt(name, act):
    try:
        found = act()
        print(name, "OK" if found is None else found)
    except OSError as e:
        print(name, errno.errorcode.get(e.errno, "E" + str(e.errno)) if e.errno else type(e).__name__)


def opens(family, kind, protocol=0):
    def act():
        fd = libc.socket(family, kind, protocol)
        if fd < 0:
            raise OSError(ctypes.get_errno(), "socket")
        os.close(fd)
    return act


def with_socket(family, kind, act):
    def run():
        with socket.socket(family, kind) as s:
            s.settimeout(3)
            return act(s)
    return run


def rtnetlink(kind, flags, body):
    """One request; OK if the kernel does it."""
    def act():
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as s:
            s.settimeout(3)
            s.send(struct.pack("=IHHII", 16 + len(body), kind, flags, 1, 0) + body)
            answer = s.recv(65536)
            if struct.unpack_from("=H", answer, 4)[0] == 2:  # NLMSG_ERROR
                code = struct.unpack_from("=i", answer, 16)[0]
                if code:
                    raise OSError(-code, "netlink")
    return act


NEW, ACK, CREATE = 1, 4, 0x600
LINKS = struct.pack("=BxHiII", 0, 0, 0, 0, 0)
MTU = struct.pack("=BxHiII", 0, 0, 1, 0, 0) + struct.pack("=HHI", 8, 4, 1500)
ADDRESS = struct.pack("=BBBBI", 2, 8, 0, 0, 1) + struct.pack("=HH4s", 8, 2, bytes([10, 9, 8, 7]))
ROUTE = struct.pack("=BBBBBBBBI", 2, 0, 0, 0, 254, 4, 254, 2, 0) + struct.pack("=HHI", 8, 4, 1)  # default by lo, local


def kernel():
    attempt("raw4", opens(2, 3, 1))
    attempt("raw6", opens(10, 3, 58))
    attempt("raw4-nonblock", opens(2, 3 | 0o4000, 255))
    attempt("sock-packet", opens(2, 10, 0x300))
    attempt("packet", opens(17, 3, 0x300))
    attempt("packet-high", opens(17, 2 | 0o2000000, 0x300))
    attempt("ping", opens(2, 2, 1))
    attempt("sctp", opens(2, 1, 132))
    attempt("sctp-seqpacket", opens(10, 5, 132))
    attempt("dccp", opens(2, 6, 33))
    attempt("udplite", opens(2, 2, 136))
    attempt("mptcp", opens(2, 1, 262))
    attempt("alg", opens(38, 5))
    attempt("vsock", opens(40, 1))
    attempt("key", opens(15, 3, 2))
    attempt("xdp", opens(44, 3))
    attempt("tipc", opens(30, 2))
    attempt("netlink-route", opens(16, 3, 0))
    for protocol in (4, 6, 9, 12, 15, 16):  # sock_diag, xfrm, audit, netfilter, uevent, generic
        attempt("netlink-%d" % protocol, opens(16, 3, protocol))
    attempt("tcp", opens(2, 1, 6))
    attempt("udp6", opens(10, 2 | 0o2004000, 17))
    attempt("link-list", rtnetlink(18, NEW | 0x300, LINKS))
    attempt("link-set", rtnetlink(16, NEW | ACK, MTU))
    attempt("address-add", rtnetlink(20, NEW | ACK | CREATE, ADDRESS))
    attempt("route-add", rtnetlink(24, NEW | ACK | CREATE, ROUTE))
    attempt("lo-up", with_socket(2, 2, lambda s: fcntl.ioctl(s, 0x8914, LO_UP) and None))
    attempt("freebind", with_socket(2, 1, freebind))
    attempt("unshare-net", lambda: libc_call("unshare", 0x40000000))


def libc_call(name, *args):
    if getattr(libc, name)(*args) < 0:
        raise OSError(ctypes.get_errno(), name)


def freebind(s):
    s.setsockopt(socket.IPPROTO_IP, 15, 1)
    s.bind(("192.0.2.7", 0))


def echo(address):
    def act(s):
        s.sendto(b"x", address)
        s.recv(1)
    return act


def fast_open(address):
    def act(s):
        s.sendto(b"x", 0x20000000, address)
    return act


def by_sendmsg(address):
    def act(s):
        s.sendmsg([b"x"], [], 0, address)
        s.recv(1)
    return act


def host(port, abstract):
    four, six = ("127.0.0.1", port), ("::1", port)
    attempt("tcp4", with_socket(2, 1, lambda s: s.connect(four)))
    attempt("tcp6", with_socket(10, 1, lambda s: s.connect(six)))
    attempt("mapped", with_socket(10, 1, lambda s: s.connect(("::ffff:127.0.0.1", port))))
    attempt("any", with_socket(2, 1, lambda s: s.connect(("0.0.0.0", port))))
    attempt("udp4", with_socket(2, 2, echo(four)))
    attempt("udp6", with_socket(10, 2, echo(six)))
    attempt("sendmsg", with_socket(2, 2, by_sendmsg(four)))
    attempt("fast-open", with_socket(2, 1, fast_open(four)))
    attempt("abstract", with_socket(1, 1, lambda s: s.connect("\0" + abstract)))
    attempt("abstract-dgram", with_socket(1, 2, lambda s: s.sendto(b"x", "\0" + abstract + "-dgram") and None))
    attempt("beyond", with_socket(2, 1, lambda s: s.connect(("192.0.2.1", 443))))
    attempt("beyond-udp", with_socket(2, 2, echo(("192.0.2.1", 53))))
    attempt("beyond-6", with_socket(10, 1, lambda s: s.connect(("2001:db8::1", 443))))
    attempt("link-local", with_socket(10, 1, lambda s: s.connect(("fe80::1", 443, 0, 1))))


if sys.argv[1] == "kernel":
    kernel()
else:
    host(int(sys.argv[2]), sys.argv[3])
