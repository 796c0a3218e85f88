/* decide_inet.c - the judgement of an internet address, as decide.c has the one of a path. Pure. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "policy/plan.h"

/* The address of the fourth version, also from within one of the sixth; false if it is a true sixth. */
static bool version_four(const struct sockaddr_storage *a, uint32_t *ret)
{
    const struct sockaddr_in *in = (const void *)a;
    const struct sockaddr_in6 *in6 = (const void *)a;
    uint32_t net;

    if (a->ss_family != AF_INET && !IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr))
        return false;
    memcpy(&net, a->ss_family == AF_INET ? (const void *)&in->sin_addr : &in6->sin6_addr.s6_addr[12], 4);
    *ret = ntohl(net);
    return true;
}

bool orch_inet_is_loopback(const struct sockaddr_storage *a)
{
    const struct sockaddr_in6 *in6 = (const void *)a;
    uint32_t four;

    if (version_four(a, &four))
        return four >> 24 == IN_LOOPBACKNET || four == INADDR_ANY;
    return IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr) || IN6_IS_ADDR_UNSPECIFIED(&in6->sin6_addr);
}

static bool is_nobodys(const struct sockaddr_storage *a)
{
    const struct sockaddr_in6 *in6 = (const void *)a;
    uint32_t four;

    if (version_four(a, &four))
        return four == INADDR_ANY || four == INADDR_BROADCAST || IN_MULTICAST(four);
    return IN6_IS_ADDR_UNSPECIFIED(&in6->sin6_addr) || IN6_IS_ADDR_MULTICAST(&in6->sin6_addr);
}

unsigned orch_inet_port(const struct sockaddr_storage *a)
{
    const struct sockaddr_in *in = (const void *)a;
    const struct sockaddr_in6 *in6 = (const void *)a;

    return ntohs(a->ss_family == AF_INET ? in->sin_port : in6->sin6_port);
}

int orch_plan_decide_inet(const struct orch_plan *p, const struct sockaddr_storage *a,
                          struct orch_decision *ret)
{
    bool permitted = p->profile->network == ORCH_NET_LOOPBACK && orch_inet_is_loopback(a);

    *ret = (struct orch_decision){.verdict = permitted ? ORCH_PERMIT : ORCH_DENY,
                                  .rule = orch_plan_rule_network(p)};
    return permitted ? 0 : ENETUNREACH; /* what the empty namespace gives */
}

int orch_plan_decide_bind(const struct orch_plan *p, const struct sockaddr_storage *a,
                          struct orch_decision *ret)
{
    bool permitted = is_nobodys(a) || (p->profile->network == ORCH_NET_LOOPBACK && orch_inet_is_loopback(a));

    *ret = (struct orch_decision){.verdict = permitted ? ORCH_PERMIT : ORCH_DENY,
                                  .rule = orch_plan_rule_network(p)};
    return permitted ? 0 : EADDRNOTAVAIL; /* what the empty namespace gives */
}

void orch_inet_text(const struct sockaddr_storage *a, char *ret, size_t size)
{
    const struct sockaddr_in *in = (const void *)a;
    const struct sockaddr_in6 *in6 = (const void *)a;
    bool v4 = a->ss_family == AF_INET;
    char host[INET6_ADDRSTRLEN] = "";

    (void)inet_ntop(a->ss_family, v4 ? (const void *)&in->sin_addr : &in6->sin6_addr, host, sizeof(host));
    (void)snprintf(ret, size, v4 ? "%s:%u" : "[%s]:%u", host, orch_inet_port(a));
}
