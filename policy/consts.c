/* consts.c - names for errno values and for the values of system call arguments. */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include "policy/profile_int.h"

struct named_value {
    const char *name;
    uint64_t value;
};

#define V(x)                                                                                                 \
    {                                                                                                        \
#x, (uint64_t)(x)                                                                                    \
    }
static const struct named_value consts[] = {
    /* ioctl: what reaches into a terminal or a device */
    V(TIOCSTI),
    V(TIOCSETD),
    V(TIOCSCTTY),
    V(TIOCNOTTY),
    V(TIOCCONS),
    V(TIOCSWINSZ),
    V(TIOCGWINSZ),
    V(TIOCSPGRP),
    V(TIOCGPGRP),
    V(TIOCGPTN),
    V(TIOCSPTLCK),
    V(TIOCEXCL),
    V(TIOCNXCL),
    V(TIOCOUTQ),
    V(TCGETS),
    V(TCSETS),
    V(TCSETSW),
    V(TCSETSF),
    V(FIONREAD),
    V(FIONBIO),
    V(FIOASYNC),
    V(FIOCLEX),
    V(FIONCLEX),
    {"TIOCLINUX", 0x541c},
    {"FS_IOC_GETFLAGS", 0x80086601},
    {"FS_IOC_SETFLAGS", 0x40086602},
    {"FICLONE", 0x40049409},
    {"FICLONERANGE", 0x4020940d},
    {"BLKGETSIZE64", 0x80081272},
    {"KDSKBENT", 0x4b47},
    {"VHOST_SET_OWNER", 0xaf01},
    {"NS_GET_USERNS", 0xb701},
    {"NS_GET_PARENT", 0xb702},
    /* socket families and types */
    V(AF_UNSPEC),
    V(AF_UNIX),
    V(AF_INET),
    V(AF_INET6),
    V(AF_NETLINK),
    V(AF_PACKET),
    V(AF_ALG),
    V(AF_VSOCK),
    V(AF_BLUETOOTH),
    V(AF_CAN),
    V(AF_TIPC),
    V(AF_RDS),
    V(AF_KEY),
    V(AF_XDP),
    V(AF_KCM),
    V(AF_QIPCRTR),
    V(AF_APPLETALK),
    V(AF_AX25),
    V(AF_X25),
    V(AF_NFC),
    V(AF_IEEE802154),
    V(AF_PPPOX),
    V(AF_IUCV),
    V(AF_SMC),
    V(SOCK_STREAM),
    V(SOCK_DGRAM),
    V(SOCK_RAW),
    V(SOCK_SEQPACKET),
    V(SOCK_CLOEXEC),
    V(SOCK_NONBLOCK),
    V(SOL_SOCKET),
    V(SO_REUSEADDR),
    V(SO_PEERCRED),
    V(SO_ATTACH_FILTER),
    V(SO_MARK),
    V(MSG_OOB),
    /* clone, unshare, setns */
    V(CLONE_NEWUSER),
    V(CLONE_NEWNS),
    V(CLONE_NEWPID),
    V(CLONE_NEWNET),
    V(CLONE_NEWIPC),
    V(CLONE_NEWUTS),
    V(CLONE_NEWCGROUP),
    V(CLONE_NEWTIME),
    V(CLONE_VM),
    V(CLONE_FS),
    V(CLONE_FILES),
    V(CLONE_THREAD),
    V(CLONE_PTRACE),
    V(CLONE_UNTRACED),
    V(CLONE_PIDFD),
    /* prctl, seccomp, personality */
    V(PR_SET_NAME),
    V(PR_GET_NAME),
    V(PR_SET_PDEATHSIG),
    V(PR_GET_PDEATHSIG),
    V(PR_SET_DUMPABLE),
    V(PR_GET_DUMPABLE),
    V(PR_SET_PTRACER),
    V(PR_SET_MM),
    V(PR_CAP_AMBIENT),
    V(PR_SET_TSC),
    V(PR_SET_SECUREBITS),
    V(PR_GET_SECUREBITS),
    V(PR_SET_SECCOMP),
    V(PR_GET_SECCOMP),
    V(PR_SET_NO_NEW_PRIVS),
    V(PR_GET_NO_NEW_PRIVS),
    V(PR_SET_KEEPCAPS),
    V(PR_CAPBSET_READ),
    V(PR_CAPBSET_DROP),
    V(PR_SET_CHILD_SUBREAPER),
    V(PR_SET_THP_DISABLE),
    V(PR_SET_TIMERSLACK),
    V(PR_SET_SPECULATION_CTRL),
    V(PR_GET_SPECULATION_CTRL),
    V(PR_SET_VMA),
    {"PR_SET_MDWE", 65},
    V(PR_SCHED_CORE),
    V(SECCOMP_SET_MODE_STRICT),
    V(SECCOMP_SET_MODE_FILTER),
    V(SECCOMP_FILTER_FLAG_NEW_LISTENER),
    V(ADDR_NO_RANDOMIZE),
    V(READ_IMPLIES_EXEC),
    /* fcntl, open, mmap */
    V(F_DUPFD),
    V(F_GETFD),
    V(F_SETFD),
    V(F_GETFL),
    V(F_SETFL),
    V(F_SETOWN),
    V(F_SETSIG),
    V(F_SETLEASE),
    V(F_NOTIFY),
    V(F_ADD_SEALS),
    V(F_SETPIPE_SZ),
    V(F_DUPFD_CLOEXEC),
    V(O_RDONLY),
    V(O_WRONLY),
    V(O_RDWR),
    V(O_ACCMODE),
    V(O_CREAT),
    V(O_EXCL),
    V(O_TRUNC),
    V(O_APPEND),
    V(O_NOFOLLOW),
    V(O_DIRECTORY),
    V(O_PATH),
    V(O_TMPFILE),
    V(O_CLOEXEC),
    V(O_DIRECT),
    V(O_NOATIME),
    V(AT_FDCWD),
    V(AT_EMPTY_PATH),
    V(AT_SYMLINK_NOFOLLOW),
    V(PROT_READ),
    V(PROT_WRITE),
    V(PROT_EXEC),
    V(MAP_SHARED),
    V(MAP_PRIVATE),
    V(MAP_FIXED),
    V(MAP_ANONYMOUS),
    V(MADV_HUGEPAGE),
    V(MADV_MERGEABLE),
    V(MADV_DONTNEED),
    V(MADV_FREE),
    {NULL, 0},
};
#undef V

/* Digits in base 10, or 0x and digits in base 16; no sign, no blank, nothing behind. */
static bool parse_number(const char *s, uint64_t *ret)
{
    bool hex = s[0] == '0' && s[1] == 'x';
    const char *digits = hex ? s + 2 : s;
    if (!(hex ? isxdigit((unsigned char)digits[0]) : isdigit((unsigned char)digits[0])))
        return false;
    char *end = NULL;
    errno = 0;
    unsigned long long v = strtoull(digits, &end, hex ? 16 : 10);
    if (errno != 0 || *end != '\0')
        return false;
    *ret = v;
    return true;
}

int orch_errno_number(const char *s)
{
    uint64_t v;
    if (parse_number(s, &v))
        return v >= 1 && v <= 4095 ? (int)v : -1;
    for (int e = 1; e < 134; e++) {
        const char *name = strerrorname_np(e);
        if (name != NULL && strcmp(name, s) == 0)
            return e;
    }
    if (strcmp(s, "EWOULDBLOCK") == 0)
        return EWOULDBLOCK;
    return strcmp(s, "EOPNOTSUPP") == 0 ? EOPNOTSUPP : -1;
}

bool orch_const_value(const char *s, uint64_t *ret)
{
    for (size_t i = 0; consts[i].name != NULL; i++)
        if (strcmp(consts[i].name, s) == 0) {
            *ret = consts[i].value;
            return true;
        }
    return parse_number(s, ret);
}

const char *orch_const_near(const char *s)
{
    const char *names[ORCH_NELEM(consts)];
    for (size_t i = 0; i < ORCH_NELEM(consts); i++)
        names[i] = consts[i].name;
    return orch_near_name(s, names);
}
