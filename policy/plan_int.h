/* plan_int.h - shared by the files that compile and judge a plan. */
#ifndef ORCH_POLICY_PLAN_INT_H
#define ORCH_POLICY_PLAN_INT_H

#include "policy/plan.h"

/* Finds out which documents say what decides as a whole. */
void plan_name_rules(struct orch_plan *p);
/* Adds a place; takes path and rule. The list is sorted by plan_places_finish. */
void plan_place_add(struct orch_plan *p, struct orch_place place);
/* Sorts places and closure-independent links; duplicates become diagnostics. */
int plan_places_finish(struct orch_plan *p, struct orch_diags *d);
/* Turns the profile's filesystem rules and the sandbox's own places into plan->places, links and anywhere. */
int plan_add_rules(struct orch_plan *p, const struct orch_plan_args *a, struct orch_diags *d);
/* Expands ${workspace} ${home} ${tmp} ${phase} in a rule path; normal form; caller frees. */
char *plan_expand_path(const struct orch_plan *p, const char *path, const struct orch_plan_args *a);
/* Shows the git directory of a linked work tree read-only. After plan_places_finish; sorts again. */
void plan_add_linked_git(struct orch_plan *p);
/* Fills argv, program, closure, env and secrets. */
int plan_add_command(struct orch_plan *p, const struct orch_plan_args *a, struct orch_diags *d);

#endif
