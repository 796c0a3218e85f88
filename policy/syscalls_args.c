/*
 * syscalls_args.c - calls that are permitted or refused by the values in their registers.
 *
 * The filter allows the listed usual values at once; for all others judge() decides. Arguments that the
 * kernel takes as 32 bits are compared as 32 bits, otherwise `TIOCSTI | 1 << 32` passes (CVE-2019-10063). A
 * register cannot change after it was read, so answering "continue" here is exact.
 */
#include <asm/ioctls.h>
#include <errno.h>
#include <linux/netlink.h>
#include <linux/prctl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include "policy/sysgroups_list.h"
#include "policy/syscalls_internal.h"

#define LOW32 UINT64_C(0xffffffff)
#define CLONE_NS_BITS                                                                                        \
    UINT64_C(0x7e020000) /* CLONE_NEW*; NEWTIME 0x80 is part of the exit signal in clone                     \
                          */

#define EQ32(arg, val)                                                                                       \
    {                                                                                                        \
        .index = (arg), .mask = LOW32, .value = (uint64_t)(val)&LOW32                                        \
    }

#ifndef PR_SET_PTRACER
#define PR_SET_PTRACER 0x59616d61
#endif
#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#endif
#ifndef PR_SET_MDWE
#define PR_SET_MDWE 65
#define PR_GET_MDWE 66
#endif
#define OPTION_GET_AUXV 0x41555856 /* PR_GET_AUXV, Linux 6.4 */

static const struct orch_sc_fast clone_fast[] = {{.index = 0, .mask = CLONE_NS_BITS, .value = 0}};

static const struct orch_sc_fast personality_fast[] = {EQ32(0, 0), EQ32(0, LOW32)};

static const struct orch_sc_fast socket_fast[] = {EQ32(0, AF_UNIX)};

#define SECCOMP_OP_ACTION_AVAIL 2
#define SECCOMP_OP_NOTIF_SIZES 3
static const struct orch_sc_fast seccomp_fast[] = {EQ32(0, SECCOMP_OP_ACTION_AVAIL),
                                                   EQ32(0, SECCOMP_OP_NOTIF_SIZES)};

static const struct orch_sc_fast prlimit_fast[] = {EQ32(0, 0)};

static const struct orch_sc_fast flags3_fast[] = {{.index = 3, .mask = MSG_OOB, .value = 0}};
static const struct orch_sc_fast flags2_fast[] = {{.index = 2, .mask = MSG_OOB, .value = 0}};

static const struct orch_sc_fast ioctl_fast[] = {
    EQ32(1, TCGETS),
    EQ32(1, TCSETS),
    EQ32(1, TCSETSW),
    EQ32(1, TCSETSF),
    EQ32(1, TIOCGWINSZ),
    EQ32(1, TIOCSWINSZ),
    EQ32(1, FIONREAD),
    EQ32(1, FIONBIO),
    EQ32(1, FIOASYNC),
    EQ32(1, FIOCLEX),
    EQ32(1, FIONCLEX),
    EQ32(1, TIOCGPGRP),
    EQ32(1, TIOCSPGRP),
    EQ32(1, TIOCGSID),
    EQ32(1, TIOCGPTN),
    EQ32(1, TIOCSPTLCK),
    EQ32(1, TIOCGPTPEER),
    EQ32(1, TIOCOUTQ),
    EQ32(1, TCSBRK),
    EQ32(1, TCFLSH),
    EQ32(1, TCXONC),
    EQ32(1, 0x40049409 /* FICLONE */),
    EQ32(1, 0xc020660b /* FS_IOC_FIEMAP */),
};

static const struct orch_sc_fast prctl_fast[] = {
    EQ32(0, PR_SET_PDEATHSIG),
    EQ32(0, PR_GET_PDEATHSIG),
    EQ32(0, PR_GET_DUMPABLE),
    EQ32(0, PR_GET_KEEPCAPS),
    EQ32(0, PR_SET_NAME),
    EQ32(0, PR_GET_NAME),
    EQ32(0, PR_GET_SECCOMP),
    EQ32(0, PR_CAPBSET_READ),
    EQ32(0, PR_GET_TSC),
    EQ32(0, PR_GET_SECUREBITS),
    EQ32(0, PR_SET_TIMERSLACK),
    EQ32(0, PR_GET_TIMERSLACK),
    EQ32(0, PR_SET_CHILD_SUBREAPER),
    EQ32(0, PR_GET_CHILD_SUBREAPER),
    EQ32(0, PR_SET_NO_NEW_PRIVS),
    EQ32(0, PR_GET_NO_NEW_PRIVS),
    EQ32(0, PR_GET_TID_ADDRESS),
    EQ32(0, PR_SET_THP_DISABLE),
    EQ32(0, PR_GET_THP_DISABLE),
    EQ32(0, PR_GET_SPECULATION_CTRL),
    EQ32(0, PR_SET_VMA),
    EQ32(0, OPTION_GET_AUXV),
};

/* Permitted too, but too rare for the filter. */
static const uint32_t prctl_rare[] = {
    PR_GET_TIMING,
    PR_SET_TIMING,
    PR_GET_FPEMU,
    PR_GET_FPEXC,
    PR_GET_ENDIAN,
    PR_GET_UNALIGN,
    PR_CAPBSET_DROP,
    PR_TASK_PERF_EVENTS_DISABLE,
    PR_MCE_KILL_GET,
    PR_TASK_PERF_EVENTS_ENABLE,
    PR_SET_SPECULATION_CTRL,
    PR_SET_MDWE,
    PR_GET_MDWE,
};

/* Refused on purpose; every other unknown option gets EINVAL, as from a kernel that does not have it. */
static const uint32_t prctl_refused[] = {
    PR_SET_PTRACER, PR_SET_MM, PR_CAP_AMBIENT, PR_SET_TSC, PR_SET_SECUREBITS, PR_SET_SECCOMP, PR_SET_KEEPCAPS,
};

static void refuse(struct orch_sc_answer *ret, int errnum)
{
    ret->kind = ORCH_SC_REFUSE;
    ret->errnum = errnum;
}

static bool among(const uint32_t *v, size_t n, uint32_t x)
{
    for (size_t i = 0; i < n; i++)
        if (v[i] == x)
            return true;
    return false;
}

/* Every namespace flag is refused: a user namespace gives the agent capabilities to attack the kernel with.
 */
static void judge_clone(const struct orch_syscalls *s, const uint64_t args[6], struct orch_sc_answer *ret)
{
    (void)s;
    if ((args[0] & CLONE_NS_BITS) != 0)
        refuse(ret, EPERM);
}

/* TIOCSTI and TIOCLINUX type into the operator's terminal (CVE-2017-5226, CVE-2023-28100); TIOCSETD loads
 * modules. */
static void judge_ioctl(const struct orch_syscalls *s, const uint64_t args[6], struct orch_sc_answer *ret)
{
    (void)s;
    uint32_t cmd = (uint32_t)args[1];
    if (cmd == TIOCSTI || cmd == TIOCLINUX || cmd == TIOCSETD)
        refuse(ret, EPERM);
}

/* Only ADDR_COMPAT and its like hide behind other values: they weaken the address space of the next program.
 */
static void judge_personality(const struct orch_syscalls *s, const uint64_t args[6],
                              struct orch_sc_answer *ret)
{
    (void)s;
    uint32_t persona = (uint32_t)args[0];
    if (persona != 0 && persona != UINT32_MAX)
        refuse(ret, EPERM);
}

static bool prctl_permitted(uint32_t option)
{
    for (size_t i = 0; i < ORCH_NELEM(prctl_fast); i++)
        if (prctl_fast[i].value == option)
            return true;
    return among(prctl_rare, ORCH_NELEM(prctl_rare), option);
}

/*
 * PR_SET_DUMPABLE is faked: undumpable, the agent would be unreadable for the supervisor that judges its
 * paths. PR_CAP_AMBIENT may ask and clear. PR_SET_SECCOMP is refused like seccomp().
 */
static void judge_prctl(const struct orch_syscalls *s, const uint64_t args[6], struct orch_sc_answer *ret)
{
    (void)s;
    uint32_t option = (uint32_t)args[0];
    if (option == PR_SET_DUMPABLE) {
        ret->kind = ORCH_SC_FAKE;
        return;
    }
    if (option == PR_CAP_AMBIENT && (args[1] == PR_CAP_AMBIENT_IS_SET || args[1] == PR_CAP_AMBIENT_CLEAR_ALL))
        return;
    if (!prctl_permitted(option))
        refuse(ret, among(prctl_refused, ORCH_NELEM(prctl_refused), option) ? EPERM : EINVAL);
}

/* An inner filter hides denials from us, and a listener of the agent's own would answer in our place. */
static void judge_seccomp(const struct orch_syscalls *s, const uint64_t args[6], struct orch_sc_answer *ret)
{
    (void)s;
    uint32_t op = (uint32_t)args[0];
    if (op != SECCOMP_OP_ACTION_AVAIL && op != SECCOMP_OP_NOTIF_SIZES)
        refuse(ret, EPERM);
}

/* TCP and UDP. Raw sockets read and forge what others send; the rest loads modules for protocols that nobody
 * here speaks (SCTP, DCCP), and SOCK_PACKET with AF_INET is AF_PACKET by another name. */
static bool usual_protocol(uint32_t type, uint32_t protocol)
{
    if ((type & 0xf) == SOCK_STREAM)
        return protocol == 0 || protocol == IPPROTO_TCP;
    return (type & 0xf) == SOCK_DGRAM && (protocol == 0 || protocol == IPPROTO_UDP);
}

/*
 * Other families reach the page cache or the host past every mount (CVE-2026-31431, CVE-2026-43494, vsock).
 * Two are asked for by runtimes that go on without, and are told so without being counted: netlink for the
 * list of addresses (only mode loopback has one worth reading, and reading is all it is good for without a
 * capability), MPTCP by every Go program that listens, with the answer of a kernel that does not have it.
 */
static void judge_socket(const struct orch_syscalls *s, const uint64_t args[6], struct orch_sc_answer *ret)
{
    uint32_t family = (uint32_t)args[0], type = (uint32_t)args[1], protocol = (uint32_t)args[2];
    bool inet = s->inet && (family == AF_INET || family == AF_INET6);
    bool route = s->inet && family == AF_NETLINK && protocol == NETLINK_ROUTE;
    bool mptcp = inet && (type & 0xf) == SOCK_STREAM && protocol == IPPROTO_MPTCP;

    if (family == AF_UNIX || (inet && usual_protocol(type, protocol)) ||
        (route && s->profile->network == ORCH_NET_LOOPBACK))
        return;
    refuse(ret, s->profile->sc_default_errno > 0 ? s->profile->sc_default_errno : EPERM);
    ret->quiet = route || mptcp;
    if (mptcp)
        ret->errnum = EPROTONOSUPPORT;
}

/* Pid 1 is init. It has the agent's uid, which is all that the kernel asks: without descriptors it could not
 * even poll. */
static void judge_prlimit(const struct orch_syscalls *s, const uint64_t args[6], struct orch_sc_answer *ret)
{
    (void)s;
    if ((uint32_t)args[0] == 1)
        refuse(ret, EPERM);
}

/* Out-of-band data on unix sockets has been the kernel's undoing (CVE-2025-38236). sendto is not here: it
 * carries no descriptors, and what it sends so nobody can receive. */
static void judge_flags3(const struct orch_syscalls *s, const uint64_t args[6], struct orch_sc_answer *ret)
{
    (void)s;
    if (args[3] & MSG_OOB)
        refuse(ret, EPERM);
}

static void judge_flags2(const struct orch_syscalls *s, const uint64_t args[6], struct orch_sc_answer *ret)
{
    (void)s;
    if (args[2] & MSG_OOB)
        refuse(ret, EPERM);
}

#define ROW(name, table, fn)                                                                                 \
    {                                                                                                        \
        ORCH_NR_##name, table, ORCH_NELEM(table), "builtin#/syscalls/" #name, fn                             \
    }

static const struct orch_sc_judged judged[] = {
    ROW(clone, clone_fast, judge_clone),
    ROW(ioctl, ioctl_fast, judge_ioctl),
    ROW(personality, personality_fast, judge_personality),
    ROW(prctl, prctl_fast, judge_prctl),
    ROW(prlimit64, prlimit_fast, judge_prlimit),
    ROW(recvfrom, flags3_fast, judge_flags3),
    ROW(recvmmsg, flags3_fast, judge_flags3),
    ROW(recvmsg, flags2_fast, judge_flags2),
    ROW(sendmmsg, flags3_fast, judge_flags3),
    ROW(sendmsg, flags2_fast, judge_flags2),
    ROW(seccomp, seccomp_fast, judge_seccomp),
    ROW(socket, socket_fast, judge_socket),
    ROW(socketpair, socket_fast, judge_socket),
};

const struct orch_sc_judged *orch_sc_find_judged(int nr)
{
    for (size_t i = 0; i < ORCH_NELEM(judged); i++)
        if (judged[i].nr == nr)
            return &judged[i];
    return NULL;
}
