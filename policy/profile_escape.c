/* profile_escape.c - rules that lead out of the sandbox need a reason; some calls cannot have a rule at all.
 */
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include "policy/profile_int.h"
#include "policy/syscalls_internal.h"

/* Calls that the filter must settle alone: their arguments cannot be judged by notification
 * (libraries.md 1.5). */
static const char *const never_judged[] = {"clone",   "close", "exit",  "exit_group", "fork",
                                           "sendmsg", "vfork", "write", NULL};

static bool in_list(const char *const *list, const char *s)
{
    for (size_t i = 0; list != NULL && list[i] != NULL; i++)
        if (strcmp(list[i], s) == 0)
            return true;
    return false;
}

bool orch_prof_is_escape(const char *name)
{
    return in_list(orch_syscall_group("@escape"), name);
}

static bool permits(const struct orch_syscall_rule *r)
{
    return r->action == ORCH_RULE_ALLOW || r->action == ORCH_RULE_LOG;
}

static bool has_reason(const cJSON *node)
{
    const cJSON *reason = orch_rd_get(node, "reason");
    return cJSON_IsString(reason) && reason->valuestring[0] != '\0';
}

/* clone may be restricted, if the filter can decide it alone (syscalls.c); the others not at all. */
static bool never_by_args(const struct orch_syscall_rule *r, const char *name, bool conditions)
{
    if (strcmp(name, "clone") == 0 && !permits(r))
        return false;
    return in_list(never_judged, name) && (conditions || r->action == ORCH_RULE_LOG);
}

void orch_prof_check_calls(const struct orch_rd *rd, const cJSON *node, const struct orch_syscall_rule *r,
                           bool conditions)
{
    for (size_t i = 0; i < r->n_nrs; i++) {
        const char *name = orch_syscall_name(r->nrs[i]);
        if (permits(r) && orch_prof_is_escape(name) && !has_reason(node) && !orch_sc_never_allowed(r->nrs[i]))
            orch_json_error(rd->doc, node, rd->d,
                            "'%s' is a way out of the sandbox (@escape): to allow it, give a \"reason\"",
                            name);
        if (never_by_args(r, name, conditions))
            orch_json_error(
                rd->doc, node, rd->d,
                "'%s' cannot be judged call by call: it can only be allowed or refused as a whole", name);
    }
}

/*
 * Calls whose registers decide what they reach (the last rows of @escape, libraries.md 1.5). A rule with
 * conditions overrides that judgement, so an allow rule must name one value, and not one that leads out.
 */
struct judged {
    const char *syscall;
    unsigned index;
    bool except; /* values are the ones refused; otherwise the only ones permitted */
    uint32_t values[8];
    size_t n;
};

static const struct judged judged[] = {
    {"ioctl", 1, true, {TIOCSTI, 0x541c /* TIOCLINUX */, TIOCSETD}, 3},
    {"prctl",
     0,
     true,
     {PR_SET_PTRACER, PR_SET_MM, PR_CAP_AMBIENT, PR_SET_TSC, PR_SET_SECUREBITS, PR_SET_SECCOMP,
      PR_SET_DUMPABLE},
     7},
    {"prlimit64", 0, true, {1 /* init */}, 1},
    {"socket", 0, false, {AF_UNIX, AF_INET, AF_INET6}, 3},
    {"socketpair", 0, false, {AF_UNIX}, 1},
    {"personality", 0, false, {0, UINT32_MAX}, 2},
    {"seccomp", 0, false, {2 /* SECCOMP_GET_ACTION_AVAIL */, 3 /* SECCOMP_GET_NOTIF_SIZES */}, 2},
};

static bool among_values(const struct judged *j, uint64_t value)
{
    for (size_t i = 0; i < j->n; i++)
        if (value == j->values[i])
            return true;
    return false;
}

static bool judged_value_ok(const struct judged *j, const struct orch_syscall_rule *r)
{
    const struct orch_arg_cond *c = NULL;
    for (size_t i = 0; i < r->n_args; i++)
        if (r->args[i].index == j->index)
            c = &r->args[i];
    if (c != NULL && c->op == ORCH_OP_MASKED_EQ && c->mask == UINT32_MAX)
        return among_values(j, c->value) != j->except;
    bool ok = c != NULL && c->op == ORCH_OP_IN;
    for (size_t i = 0; ok && i < c->n_set; i++)
        ok = among_values(j, c->set[i]) != j->except;
    return ok;
}

void orch_prof_check_judged(const struct orch_rd *rd, const cJSON *node, const struct orch_syscall_rule *r)
{
    if (!permits(r) || r->n_args == 0 || has_reason(node))
        return;
    for (size_t i = 0; i < ORCH_NELEM(judged); i++)
        if (orch_sc_rule_names(r, orch_syscall_number(judged[i].syscall)) && !judged_value_ok(&judged[i], r))
            orch_json_error(
                rd->doc, node, rd->d,
                "allowing '%s' by anything but 'eq' or 'in' on argument %u with harmless values is a "
                "way out of the sandbox (@escape): give a \"reason\"",
                judged[i].syscall, judged[i].index);
}
