/*
 * plan_origin.c - which document says so: the rules of records where a whole key decides, not one rule of a
 * list. See plan.h.
 */
#include <string.h>

#include "policy/plan_int.h"

char *orch_profile_rule(const struct orch_profile *p, const char *key, const char *pointer)
{
    const struct orch_key_place *k = orch_profile_place(p, key);

    return orch_xasprintf("%s#%s", k && k->file ? k->file : "sandbox", pointer);
}

void plan_name_rules(struct orch_plan *p)
{
    p->rule_create = orch_profile_rule(p->profile, "create", ORCH_POINTER_CREATE);
    p->rule_network = orch_profile_rule(p->profile, "network.mode", ORCH_POINTER_NETWORK);
    p->rule_tools = orch_profile_rule(p->profile, "tools", ORCH_POINTER_TOOLS);
}

const char *orch_plan_rule_create(const struct orch_plan *p)
{
    return p->rule_create ? p->rule_create : "sandbox#" ORCH_POINTER_CREATE;
}

const char *orch_plan_rule_network(const struct orch_plan *p)
{
    return p->rule_network ? p->rule_network : "sandbox#" ORCH_POINTER_NETWORK;
}

const char *orch_plan_rule_tools(const struct orch_plan *p)
{
    return p->rule_tools ? p->rule_tools : "sandbox#" ORCH_POINTER_TOOLS;
}

bool orch_rule_points_to(const char *rule, const char *pointer)
{
    const char *hash = rule ? strrchr(rule, '#') : NULL;

    return hash && strcmp(hash + 1, pointer) == 0;
}
