#!/usr/bin/python3
"""Ways to a privilege bit, a file capability or another owner; one line "NAME RESULT" an attempt.

root_attacks.py bits DIRECTORY          leaves in DIRECTORY whatever it got: NAME is the file's name
root_attacks.py ids DIRECTORY           other owners and other ids
root_attacks.py GROUP DIRECTORY NAME    that one alone
"""
import ctypes
import errno
import mmap
import os
import struct
import subprocess
import sys

libc = ctypes.CDLL(None, use_errno=True)
CAPABILITY = struct.pack("<IIIII", 0x02000001, 1 << 13, 0, 0, 0)  # cap_net_raw, effective
CAPABILITY_V3 = struct.pack("<IIIIII", 0x03000001, 1 << 13, 0, 0, 0, 0)


def attempt(name, act):
    if sys.argv[3:] not in ([], [name]):
        return
    try:
        found = act()
        print(name, "OK" if found is None else found)
    except OSError as e:
        print(name, errno.errorcode.get(e.errno, e.errno))
    except subprocess.CalledProcessError as e:
        print(name, "status", e.returncode)


def call(nr, *args):
    if libc.syscall(nr, *args) < 0:
        raise OSError(ctypes.get_errno(), "syscall")


def file(name):
    with open(name, "w") as f:
        f.write("x")
    return name


def with_fd(name, act):
    fd = os.open(file(name), os.O_RDWR)
    try:
        act(fd)
    finally:
        os.close(fd)


def made(name, mode):
    old = os.umask(0)
    try:
        os.close(os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode))
    finally:
        os.umask(old)


def hidden(name):
    """A name for it comes only after the bit is set."""
    fd = os.open(".", os.O_TMPFILE | os.O_RDWR, 0o600)
    os.fchmod(fd, 0o4755)
    os.link("/proc/self/fd/%d" % fd, name, follow_symlinks=True)


def run(*command):
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)


def copied_by_mapping(name):
    """Writing by a shared mapping leaves the bit that write() takes away."""
    fd = os.open(name, os.O_RDWR)
    m = mmap.mmap(fd, 4, mmap.MAP_SHARED)
    m[:4] = b"EVIL"
    m.flush()


def bits():
    attempt("chmod", lambda: os.chmod(file("chmod"), 0o4755))
    attempt("chmod-group", lambda: os.chmod(file("chmod-group"), 0o2755))
    attempt("fchmod", lambda: with_fd("fchmod", lambda fd: os.fchmod(fd, 0o6755)))
    attempt("fchmodat", lambda: call(268, -100, file("fchmodat").encode(), 0o4755))
    attempt("fchmodat2", lambda: call(452, -100, file("fchmodat2").encode(), 0o4755, 0))
    attempt("open", lambda: made("open", 0o4755))
    attempt("creat", lambda: call(85, b"creat", 0o6755))
    attempt("mknod", lambda: call(133, b"mknod", 0o104755, 0))
    attempt("mkdir", lambda: call(83, b"mkdir", 0o2755))
    attempt("mkdir-chmod", lambda: (os.mkdir("mkdir-chmod"), os.chmod("mkdir-chmod", 0o2755)) and None)
    attempt("hidden", lambda: hidden("hidden"))
    attempt("install", lambda: run("install", "-m", "4755", "/bin/true", "install"))
    attempt("tar", lambda: run("tar", "-xpf", "archive.tar"))
    attempt("cp", lambda: run("cp", "-p", "tool", "cp"))
    attempt("rename", lambda: os.rename("tool", "rename"))
    attempt("mapping", lambda: copied_by_mapping("tool2"))
    attempt("linked", lambda: os.link("tool3", "linked"))
    for name, value in (("capability", CAPABILITY), ("capability-3", CAPABILITY_V3)):
        attempt(name, lambda: os.setxattr(file(name), "security.capability", value))
    attempt("capability-fd",
            lambda: with_fd("capability-fd", lambda fd: os.setxattr(fd, "security.capability", CAPABILITY)))
    attempt("trusted", lambda: os.setxattr(file("trusted"), "trusted.overlay.opaque", b"y"))


def ids():
    attempt("chown-root", lambda: os.chown(file("chown-root"), 0, 0))
    attempt("chown-user", lambda: os.chown(file("chown-user"), 1001, 1001))
    attempt("chown-other", lambda: os.chown(file("chown-other"), 1234, 1234))
    attempt("chgrp", lambda: os.chown(file("chgrp"), -1, 0))
    attempt("lchown", lambda: (os.symlink("x", "lchown"), os.lchown("lchown", 0, 0)) and None)
    attempt("fchown", lambda: with_fd("fchown", lambda fd: os.fchown(fd, 0, 0)))
    attempt("setuid", lambda: os.setresuid(0, 0, 0))
    attempt("setgid", lambda: os.setresgid(0, 0, 0))
    attempt("setgroups", lambda: os.setgroups([0]))
    attempt("setfsuid", lambda: (libc.setfsuid(0), libc.setfsuid(-1))[1] == 0 and None or "still")


os.chdir(sys.argv[2])
{"bits": bits, "ids": ids}[sys.argv[1]]()
