/* sockets.c - families, protocols, out-of-band data, and sockets of the host. */
#include <arpa/inet.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "tests/redteam/attack/attack.h"

static int opened(long fd)
{
    if (fd < 0)
        return -errno;
    (void)close((int)fd);
    return 0;
}

static bool family_opens(unsigned long family)
{
    for (unsigned long type = SOCK_STREAM; type <= SOCK_SEQPACKET; type++)
        if (opened(syscall(SYS_socket, family, type | SOCK_CLOEXEC, 0)) == 0)
            return true;
    return false;
}

/* [EXCEPT]: families 0 to 50, each also with a bit above the 32 that the kernel looks at: "N" and "N+" for
 * those that open. */
static int do_families(char **v)
{
    printf("found");
    for (unsigned long f = 0; f <= 50; f++) {
        if (v[0] && f == number(v[0]))
            continue;
        if (family_opens(f))
            printf(" %lu", f);
        if (family_opens(f | 1UL << 32))
            printf(" %lu+", f);
    }
    printf(" end\n");
    return FOUND;
}

static int do_socket(char **v) /* FAMILY TYPE PROTOCOL */
{
    return opened(syscall(SYS_socket, number(v[0]), number(v[1]) | SOCK_CLOEXEC, number(v[2])));
}

/* FAMILY: which protocols from 1 to 300 open, with any type */
static int do_protocols(char **v)
{
    unsigned long from = v[1] ? number(v[1]) : 1;

    printf("found");
    for (unsigned long p = from; p <= 300; p++)
        for (unsigned long type = SOCK_STREAM; type <= SOCK_SEQPACKET; type++)
            if (opened(syscall(SYS_socket, number(v[0]), type, p)) == 0) {
                printf(" %lu", p);
                break;
            }
    printf(" end\n");
    return FOUND;
}

static int do_socketpair(char **v) /* FAMILY TYPE */
{
    int fds[2];

    return last(syscall(SYS_socketpair, number(v[0]), number(v[1]), 0, fds));
}

/* HOW: out-of-band data on a pair of unix sockets (CVE-2025-38236) */
static int do_oob(char **v)
{
    struct iovec iov = {.iov_base = scratch, .iov_len = 1};
    struct mmsghdr m = {.msg_hdr = {.msg_iov = &iov, .msg_iovlen = 1}};
    int fds[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) < 0)
        return -errno;
    if (strcmp(v[0], "sendmsg") == 0)
        return last(syscall(SYS_sendmsg, fds[0], &m.msg_hdr, MSG_OOB | MSG_NOSIGNAL));
    if (strcmp(v[0], "sendmmsg") == 0)
        return last(syscall(SYS_sendmmsg, fds[0], &m, 1, MSG_OOB | MSG_NOSIGNAL));
    if (strcmp(v[0], "recvfrom") == 0)
        return last(syscall(SYS_recvfrom, fds[0], scratch, 1, MSG_OOB, NULL, NULL));
    if (strcmp(v[0], "recvmsg") == 0)
        return last(syscall(SYS_recvmsg, fds[0], &m.msg_hdr, MSG_OOB));
    if (strcmp(v[0], "recvmsg:high") == 0)
        return last(syscall(SYS_recvmsg, fds[0], &m.msg_hdr, MSG_OOB | 0xdeadbeef00000000));
    if (strcmp(v[0], "recvmmsg") == 0)
        return last(syscall(SYS_recvmmsg, fds[0], &m, 1, MSG_OOB, NULL));
    return -EINVAL;
}

/* ---- unix sockets with a name: "@NAME" is abstract ---- */

static socklen_t unix_address(const char *path, struct sockaddr_un *ret)
{
    *ret = (struct sockaddr_un){.sun_family = AF_UNIX};
    (void)snprintf(ret->sun_path, sizeof(ret->sun_path), "%s", path);
    if (path[0] == '@')
        ret->sun_path[0] = '\0';
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path) + (path[0] == '@' ? 0 : 1));
}

static int do_unix(char **v) /* NAME HOW: connect, sendto, sendmsg */
{
    struct sockaddr_un a;
    socklen_t len = unix_address(v[0], &a);
    struct iovec iov = {.iov_base = scratch, .iov_len = 1};
    struct msghdr m = {.msg_name = &a, .msg_namelen = len, .msg_iov = &iov, .msg_iovlen = 1};
    bool connects = strcmp(v[1], "connect") == 0;
    int fd = socket(AF_UNIX, (connects ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return -errno;
    if (connects)
        return last(syscall(SYS_connect, fd, &a, len));
    if (strcmp(v[1], "sendto") == 0)
        return last(syscall(SYS_sendto, fd, "x", 1, 0, &a, len));
    return last(syscall(SYS_sendmsg, fd, &m, 0));
}

/* Outside: listens on NAME for connections and on NAME.d for datagrams, for each NAME, prints a port of
 * 127.0.0.1 that it listens on too, and stays until its standard input ends. */
static int do_serve(char **v)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    socklen_t len = sizeof(in);
    char name[128];

    if (fd < 0 || bind(fd, (struct sockaddr *)&in, len) < 0 || listen(fd, 8) < 0 ||
        getsockname(fd, (struct sockaddr *)&in, &len) < 0)
        return -errno;
    for (; *v; v++)
        for (int dgram = 0; dgram < 2; dgram++) {
            struct sockaddr_un a;
            int s = socket(AF_UNIX, dgram ? SOCK_DGRAM : SOCK_STREAM, 0);

            (void)snprintf(name, sizeof(name), "%.100s%s", *v, dgram ? ".d" : "");
            len = unix_address(name, &a);
            if (s < 0 || bind(s, (struct sockaddr *)&a, len) < 0 || (!dgram && listen(s, 64) < 0))
                return -errno;
        }
    printf("%u\n", ntohs(in.sin_port));
    (void)fflush(stdout);
    while (read(0, scratch, 1) > 0)
        ;
    return FOUND;
}

static int do_inet(char **v) /* tcp|udp|msg ADDRESS PORT */
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)number(v[2]))};
    struct iovec iov = {.iov_base = scratch, .iov_len = 1};
    struct msghdr m = {.msg_name = &a, .msg_namelen = sizeof(a), .msg_iov = &iov, .msg_iovlen = 1};
    int fd = socket(AF_INET, (v[0][0] == 't' ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC, 0);

    if (fd < 0 || inet_pton(AF_INET, v[1], &a.sin_addr) != 1)
        return -errno;
    if (v[0][0] == 't')
        return last(syscall(SYS_connect, fd, &a, sizeof(a)));
    if (v[0][0] == 'm')
        return last(syscall(SYS_sendmsg, fd, &m, 0));
    return last(syscall(SYS_sendto, fd, "x", 1, 0, &a, sizeof(a)));
}

static int do_inet6(char **v) /* ADDRESS PORT */
{
    struct sockaddr_in6 a = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)number(v[1]))};
    int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || inet_pton(AF_INET6, v[0], &a.sin6_addr) != 1)
        return -errno;
    return last(syscall(SYS_connect, fd, &a, sizeof(a)));
}

/* Interfaces that are up: by ioctl, which is what an empty network namespace has none of. */
static int do_interfaces(char **v)
{
    struct ifreq r[32] = {0};
    struct ifconf c = {.ifc_len = sizeof(r), .ifc_req = r};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    (void)v;
    if (fd < 0 || ioctl(fd, SIOCGIFCONF, &c) < 0)
        return -errno;
    printf("found");
    for (int i = 0; i < c.ifc_len / (int)sizeof(r[0]); i++)
        printf(" %.15s", r[i].ifr_name);
    printf(" end\n");
    return FOUND;
}

const struct verb socket_verbs[] = {
    {"families", 0, do_families},
    {"inet", 3, do_inet},
    {"inet6", 2, do_inet6},
    {"interfaces", 0, do_interfaces},
    {"oob", 1, do_oob},
    {"protocols", 1, do_protocols},
    {"serve", 0, do_serve},
    {"socket", 3, do_socket},
    {"socketpair", 2, do_socketpair},
    {"unix", 2, do_unix},
    {NULL, 0, NULL},
};
