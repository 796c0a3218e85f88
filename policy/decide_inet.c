/* decide_inet.c - the judgement of an internet address, as decide.c has the one of a path. Pure. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>

#include "policy/plan.h"

static bool is_loopback(const struct sockaddr_storage *a)
{
    const struct sockaddr_in *in = (const void *)a;
    const struct sockaddr_in6 *in6 = (const void *)a;

    if (a->ss_family == AF_INET)
        return (ntohl(in->sin_addr.s_addr) >> 24) == 127 || in->sin_addr.s_addr == 0;
    return IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr) || IN6_IS_ADDR_UNSPECIFIED(&in6->sin6_addr) ||
           (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr) && in6->sin6_addr.s6_addr[12] == 127);
}

int orch_plan_decide_inet(const struct orch_plan *p, const struct sockaddr_storage *a,
                          struct orch_decision *ret)
{
    bool permitted = p->profile->network == ORCH_NET_LOOPBACK && is_loopback(a);

    *ret = (struct orch_decision){.verdict = permitted ? ORCH_PERMIT : ORCH_DENY, .rule = "profile#/network"};
    return permitted ? 0 : ENETUNREACH; /* what the empty namespace gives */
}

void orch_inet_text(const struct sockaddr_storage *a, char *ret, size_t size)
{
    const struct sockaddr_in *in = (const void *)a;
    const struct sockaddr_in6 *in6 = (const void *)a;
    bool v4 = a->ss_family == AF_INET;
    char host[INET6_ADDRSTRLEN] = "";

    (void)inet_ntop(a->ss_family, v4 ? (const void *)&in->sin_addr : &in6->sin6_addr, host, sizeof(host));
    (void)snprintf(ret, size, v4 ? "%s:%u" : "[%s]:%u", host, ntohs(v4 ? in->sin_port : in6->sin6_port));
}
