/*
 * profile_oci.c - what the seccomp object of the OCI runtime specification has beyond our own spelling: its
 * default action, architectures, flags and listener. What has no meaning here is refused with the reason.
 */
#include <errno.h>
#include <string.h>
#include "policy/profile_int.h"

const char *const orch_prof_refused_actions[] = {"trap",
                                                 "trace",
                                                 "notify",
                                                 "kill",
                                                 "kill_thread",
                                                 "SCMP_ACT_TRAP",
                                                 "SCMP_ACT_TRACE",
                                                 "SCMP_ACT_NOTIFY",
                                                 "SCMP_ACT_KILL",
                                                 "SCMP_ACT_KILL_THREAD",
                                                 NULL};

/* In the order of orch_prof_refused_actions. */
static const char *const reasons[] = {
    "the agent could catch the signal and go on: use errno or kill_process",
    "there is no tracer in a sandbox: use errno",
    "the supervisor is the only listener, and sees every refused call anyway: use errno",
    "it ends one thread and leaves the process running: use kill_process",
    "it ends one thread and leaves the process running: use kill_process",
};

bool orch_prof_action_refused(const struct orch_rd *rd, const cJSON *node)
{
    for (size_t i = 0; cJSON_IsString(node) && orch_prof_refused_actions[i] != NULL; i++) {
        if (strcmp(node->valuestring, orch_prof_refused_actions[i]) != 0)
            continue;
        orch_json_error(rd->doc, node, rd->d, "the action '%s' is not in the language: %s", node->valuestring,
                        reasons[i % ORCH_NELEM(reasons)]);
        return true;
    }
    return false;
}

/* A profile names what it allows; what is left is refused with an errno. */
void orch_prof_oci_default(const struct orch_rd *rd, const cJSON *node, void *base)
{
    static const char *const names[] = {"SCMP_ACT_ERRNO", "SCMP_ACT_ALLOW", "SCMP_ACT_LOG",
                                        "SCMP_ACT_KILL_PROCESS", NULL};
    struct orch_profile *p = base;
    unsigned v = 0;
    if (orch_prof_action_refused(rd, node) || !orch_rd_enum(rd, node, names, orch_prof_refused_actions, &v))
        return;
    if (v == 1 || v == 2)
        orch_json_error(rd->doc, node, rd->d,
                        "a default of '%s' would allow what the profile does not name: use SCMP_ACT_ERRNO",
                        names[v]);
    else if (v == 3)
        orch_json_error(rd->doc, node, rd->d,
                        "a default of '%s' would kill programs that only try: use SCMP_ACT_ERRNO, and "
                        "kill_process in rules",
                        names[v]);
    else if (p->sc_default_errno == 0)
        p->sc_default_errno = EPERM;
}

void orch_prof_oci_architectures(const struct orch_rd *rd, const cJSON *node, void *base)
{
    (void)base;
    const cJSON *item;
    bool native = false;
    if (!orch_rd_array(rd, node))
        return;
    cJSON_ArrayForEach(item, node)
    {
        const char *s = orch_rd_string(rd, item);
        if (s == NULL)
            continue;
        if (strcmp(s, "SCMP_ARCH_X86_64") == 0)
            native = true;
        else
            orch_json_error(rd->doc, item, rd->d,
                            "'%s' cannot be allowed: calls of any ABI but SCMP_ARCH_X86_64 end the process",
                            s);
    }
    if (!native)
        orch_json_error(rd->doc, node, rd->d, "'architectures' must name SCMP_ARCH_X86_64");
}

void orch_prof_oci_flags(const struct orch_rd *rd, const cJSON *node, void *base)
{
    (void)base;
    const cJSON *item;
    if (!orch_rd_array(rd, node))
        return;
    cJSON_ArrayForEach(item, node)
    {
        const char *s = orch_rd_string(rd, item);
        if (s != NULL)
            orch_json_error(rd->doc, item, rd->d,
                            "the flag '%s' has no meaning here: the filter is always loaded with a listener, "
                            "for every thread",
                            s);
    }
}

void orch_prof_oci_listener(const struct orch_rd *rd, const cJSON *node, void *base)
{
    (void)base;
    orch_json_error(rd->doc, node, rd->d, "'%s' has no meaning here: the supervisor itself is the listener",
                    node->string);
}

void orch_prof_two_spellings(const struct orch_rd *rd, const cJSON *object, const char *a, const char *b)
{
    const cJSON *x = orch_rd_get(object, a), *y = orch_rd_get(object, b);
    unsigned line, col;
    if (x == NULL || y == NULL)
        return;
    orch_json_pos(rd->doc, x, &line, &col);
    orch_json_error(rd->doc, y, rd->d,
                    "'%s' (line %u, column %u) and '%s' are the same key in two spellings: give one", a, line,
                    col, b);
}

bool orch_prof_gives_allow(const cJSON *syscalls)
{
    return orch_rd_get(syscalls, "allow") != NULL || orch_rd_get(syscalls, "defaultAction") != NULL;
}

const cJSON *orch_prof_rules_node(const cJSON *syscalls)
{
    const cJSON *rules = orch_rd_get(syscalls, "rules");
    return rules != NULL ? rules : orch_rd_get(syscalls, "syscalls");
}
