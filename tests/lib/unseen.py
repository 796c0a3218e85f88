"""What each audit level sees, call by call.

unseen.py try SHOWN HIDDEN WORKSPACE   in a sandbox (or outside: the control): makes each call of the table once, in a process
    named after its row, and prints "ROW ERRNO" (0: it succeeded)
unseen.py judge LEVEL INSIDE OUTSIDE AUDIT REPORT DOCUMENT   holds what was printed and recorded against the table

SHOWN: a directory of the host that a rule shows for reading; HIDDEN: one that no rule shows."""
import ctypes, errno, json, os, re, socket, stat, struct, sys

libc = ctypes.CDLL(None, use_errno=True)
AT, NOFOLLOW, EMPTY = -100, 0x100, 0x1000
BUF = ctypes.create_string_buffer(4096)


def call(nr, *args):
    """A system call by number, so that no library chooses another. errno or 0."""
    libc.syscall.restype = ctypes.c_long
    c = [ctypes.c_long(a) if isinstance(a, int) else a for a in args]
    return ctypes.get_errno() if libc.syscall(ctypes.c_long(nr), *c) < 0 else 0


def said(f, *args):
    try:
        f(*args)
        return 0
    except OSError as e:
        return e.errno


def fd_of(path, flags=os.O_RDONLY):
    return os.open(path, flags)


def unix(path, how):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    return said({"bind": s.bind, "connect": s.connect, "sendto": lambda p: s.sendto(b"x", p),
                 "sendmsg": lambda p: s.sendmsg([b"x"], [], 0, p)}[how], path)


def sendmmsg(path):
    """One message with an address, by sendmmsg."""
    s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    sun = struct.pack("H108s", socket.AF_UNIX, path.encode())
    a, x = ctypes.create_string_buffer(sun, len(sun)), ctypes.create_string_buffer(b"x")
    iov = struct.pack("PN", ctypes.addressof(x), 1)
    i = ctypes.create_string_buffer(iov, len(iov))
    hdr = struct.pack("PIxxxxPNPNixxxxIxxxx", ctypes.addressof(a), len(sun), ctypes.addressof(i), 1, 0, 0, 0, 0)
    m = ctypes.create_string_buffer(hdr, len(hdr))
    return call(307, s.fileno(), ctypes.byref(m), 1, 0)


def script(interpreter):
    """A script that may run, whose interpreter may not."""
    path = "/tmp/orch-script.%d" % os.getpid()
    with open(path, "w") as f:
        f.write("#!" + interpreter + "\n")
    os.chmod(path, 0o755)
    pid = os.fork()
    if pid == 0:
        os._exit(said(os.execv, path, [path]))
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    os.unlink(path)
    return code


def mapped(path):
    import mmap
    with open(path, "rb") as f:
        return said(lambda: mmap.mmap(f.fileno(), 1, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_EXEC))


def too_many():
    import resource
    resource.setrlimit(resource.RLIMIT_NOFILE, (8, 8))
    return max(said(os.open, "/dev/null", os.O_RDONLY) for _ in range(10))


def times_by_fd(path):
    return call(280, fd_of(path), 0, 0, 0)


def across(shown, workspace):
    """A link between file systems: reading is all that it asks for."""
    return said(os.link, workspace + "/file", "/tmp/orch-linked")


FD, STARTS, CODE, OWN = "calls on descriptors", "what the kernel opens by itself", "mapping as code", "what the kernel refuses by rules of its own"
RULED = "calls that a rule of the profile lets through"
SENDMSG, LOOKS, READS, COUNTED = "sendmsg and sendmmsg", "looking without opening", "opening only to read", "which calls were answered ENOSYS"

# row: the first level that has it on record (or the words for it among what no level sees), the call. s: SHOWN, h: HIDDEN
ROWS = {
    # reading
    "open": ("opens", lambda s, h, w: call(2, (h + "/file").encode(), os.O_RDONLY)),
    "openat": ("opens", lambda s, h, w: call(257, AT, (h + "/file").encode(), os.O_RDONLY)),
    "o_path": ("opens", lambda s, h, w: call(257, AT, (h + "/file").encode(), os.O_PATH)),
    "list": ("opens", lambda s, h, w: said(os.listdir, h)),
    # looking
    "stat": ("paths", lambda s, h, w: call(4, (h + "/file").encode(), BUF)),
    "lstat": ("paths", lambda s, h, w: call(6, (h + "/file").encode(), BUF)),
    "newfstatat": ("paths", lambda s, h, w: call(262, AT, (h + "/file").encode(), BUF, 0)),
    "statx": ("paths", lambda s, h, w: call(332, AT, (h + "/file").encode(), 0, 0x7ff, BUF)),
    "access": ("paths", lambda s, h, w: call(21, (h + "/file").encode(), 4)),
    "faccessat": ("paths", lambda s, h, w: call(269, AT, (h + "/file").encode(), 4)),
    "faccessat2": ("paths", lambda s, h, w: call(439, AT, (h + "/file").encode(), 4, 0)),
    "readlink": ("paths", lambda s, h, w: call(89, (h + "/link").encode(), BUF, 64)),
    "readlinkat": ("paths", lambda s, h, w: call(267, AT, (h + "/link").encode(), BUF, 64)),
    "chdir": ("paths", lambda s, h, w: said(os.chdir, h)),
    "listxattr": ("paths", lambda s, h, w: call(194, (h + "/file").encode(), BUF, 100)),
    "llistxattr": ("paths", lambda s, h, w: call(195, (h + "/file").encode(), BUF, 100)),
    "getxattr": ("paths", lambda s, h, w: call(191, (h + "/xattr").encode(), b"user.x", BUF, 100)),
    "lgetxattr": ("paths", lambda s, h, w: call(192, (h + "/xattr").encode(), b"user.x", BUF, 100)),
    "listxattrat": ("paths", lambda s, h, w: call(465, AT, (h + "/file").encode(), 0, BUF, 100)),
    "getxattrat": ("paths", lambda s, h, w: call(464, AT, (h + "/xattr").encode(), 0, b"user.x", struct.pack("PII", ctypes.addressof(BUF), 100, 0), 16)),
    "file_getattr": ("paths", lambda s, h, w: call(468, AT, (h + "/file").encode(), BUF, 24, 0)),
    "statfs": ("paths", lambda s, h, w: call(137, (h + "/file").encode(), BUF)),
    "inotify": ("paths", lambda s, h, w: call(254, libc.inotify_init1(0), (h + "/file").encode(), 2)),
    # changing
    "creat": ("writes", lambda s, h, w: call(85, (s + "/new-creat").encode(), 0o600)),
    "write": ("writes", lambda s, h, w: call(257, AT, (s + "/file").encode(), os.O_WRONLY)),
    "tmpfile": ("writes", lambda s, h, w: call(257, AT, s.encode(), os.O_TMPFILE | os.O_RDWR, 0o600)),
    "by_proc_fd": ("writes", lambda s, h, w: said(os.open, "/proc/self/fd/%d" % fd_of(s + "/file"), os.O_WRONLY)),
    "mkdir": ("writes", lambda s, h, w: said(os.mkdir, s + "/new-mkdir")),
    "mknod": ("writes", lambda s, h, w: said(os.mknod, s + "/new-mknod", stat.S_IFREG | 0o600)),
    "symlink": ("writes", lambda s, h, w: said(os.symlink, "x", s + "/new-symlink")),
    "link": ("writes", lambda s, h, w: said(os.link, s + "/file", s + "/new-link")),
    "rename": ("writes", lambda s, h, w: said(os.rename, s + "/renamed", s + "/new-renamed")),
    "unlink": ("writes", lambda s, h, w: said(os.unlink, s + "/unlinked")),
    "rmdir": ("writes", lambda s, h, w: said(os.rmdir, s + "/dir")),
    "truncate": ("writes", lambda s, h, w: said(os.truncate, s + "/file", 0)),
    "chmod": ("writes", lambda s, h, w: said(os.chmod, s + "/file", 0o666)),
    "chown": ("writes", lambda s, h, w: said(os.chown, s + "/file", -1, -1)),
    "utime": ("writes", lambda s, h, w: said(os.utime, s + "/file")),
    "setxattr": ("writes", lambda s, h, w: said(os.setxattr, s + "/file", "user.y", b"1")),
    "removexattr": ("writes", lambda s, h, w: said(os.removexattr, s + "/xattr", "user.x")),
    # addresses
    "bind": ("writes", lambda s, h, w: unix(s + "/new-bind", "bind")),
    "connect": ("writes", lambda s, h, w: unix(h + "/socket", "connect")),
    "sendto": ("writes", lambda s, h, w: unix(h + "/socket", "sendto")),
    "sendmsg": (SENDMSG, lambda s, h, w: unix(h + "/socket", "sendmsg")),
    "sendmmsg": (SENDMSG, lambda s, h, w: sendmmsg(h + "/socket")),
    # programs and calls
    "exec": ("writes", lambda s, h, w: os.waitstatus_to_exitcode(os.waitpid(os.fork() or os._exit(said(os.execv, s + "/program", ["x"])), 0)[1])),
    "msgget": ("writes", lambda s, h, w: call(68, 0, 0o1600)),
    "interpreter": (STARTS, lambda s, h, w: script(s + "/program")),
    "map": (CODE, lambda s, h, w: mapped(s + "/program")),
    "handle": (RULED, lambda s, h, w: call(303, AT, (h + "/file").encode(), ctypes.create_string_buffer(struct.pack("I", 128), 136), BUF, 0)),
    # what the kernel answers by itself
    "fchmod": (FD, lambda s, h, w: said(os.fchmod, fd_of(s + "/file"), 0o666)),
    "fchown": (FD, lambda s, h, w: said(os.fchown, fd_of(s + "/file"), -1, os.getgid())),
    "fsetxattr": (FD, lambda s, h, w: said(lambda: os.setxattr(fd_of(s + "/file"), "user.y", b"1"))),
    "utimensat_fd": (FD, lambda s, h, w: times_by_fd(s + "/file")),
    "mode": (OWN, lambda s, h, w: said(os.open, s + "/private", os.O_RDONLY)),
    "privilege": (OWN, lambda s, h, w: said(os.setgroups, [0])),
    "exdev": (OWN, lambda s, h, w: across(s, w)),
    "limit": (OWN, lambda s, h, w: too_many()),
    "proc": (OWN, lambda s, h, w: said(os.open, "/proc/1/environ", os.O_RDONLY)),
    "openat2": (COUNTED, lambda s, h, w: call(437, AT, (h + "/file").encode(), struct.pack("QQQ", 0, 0, 0), 24)),
}


def name_task(name):
    libc.prctl(15, ctypes.c_char_p(b"r_" + name.encode()))


def tries(shown, hidden, workspace):
    for name, (_, f) in ROWS.items():
        sys.stdout.flush()
        pid = os.fork()
        if pid == 0:
            name_task(name)
            os._exit(f(shown, hidden, workspace))
        print(name, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


# Outside there is no such bar, but another one may be.
NO_CONTROL = {"limit", "mode", "privilege", "proc", "exdev"}
LEVELS = ["writes", "opens", "paths"]


def judge(level, inside, outside, audit, report, document):
    answers = {n: dict(l.split() for l in open(f) if l.count(" ") == 1) for n, f in (("in", inside), ("out", outside))}
    records = {}
    for line in open(audit):
        r = json.loads(line)
        if r["event"] == "denial" and r.get("comm", "").startswith("r_"):
            records.setdefault(r["comm"][2:], []).append(r)
    text = " ".join(open(report).read().split())
    doc = " ".join(open(document).read().split())
    section = re.search(r"watched: (.*?) not seen: (.*?) (?:filesystem|network|exec|syscall|not denials)|watched: ", text)
    never = text[text.index("no level sees:"):]
    bad = []
    for name, (first, _) in ROWS.items():
        got, control = answers["in"].get(name), answers["out"].get(name)
        if got is None or got == "0":
            bad.append((name, "was not refused inside: %s" % got))
        if control != "0" and name not in NO_CONTROL:
            bad.append((name, "the control outside failed: %s" % control))
        seen = first in LEVELS and LEVELS.index(first) <= LEVELS.index(level)
        n = sum(r["count"] for r in records.get(name[:13], []))
        if n != (1 if seen else 0):
            bad.append((name, "%d records at level %s, expected %d" % (n, level, seen)))
        words = {"opens": READS, "paths": LOOKS}.get(first, first)
        if not seen and first in LEVELS and words not in section.group(2):
            bad.append((name, "not named among what level %s does not see" % level))
        if first not in LEVELS and words not in never:
            bad.append((name, "not named among what no level sees"))
    for line in re.findall(r"^  (.*)$", open(report).read().split("no level sees:\n")[1], re.M):
        if line not in doc:
            bad.append((line, "is not in " + document))
        if not any(f not in LEVELS and f in line for f, _ in ROWS.values()):
            bad.append((line, "is tried by no row"))
    for b in bad:
        print("not ok:", *b)
    print(len(ROWS), "calls at level", level)
    return len(bad)


if sys.argv[1] == "try":
    tries(*sys.argv[2:])
else:
    sys.exit(judge(*sys.argv[2:]) != 0)
