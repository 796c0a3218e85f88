/*
 * preflight.h - everything that is checked before a run starts anything (design 4: exits 2, 3 and 10 mean
 * that nothing was started). Notes for people go to the progress display; errors come back with their exit
 * code.
 */
#ifndef ORCH_SUPERVISOR_PREFLIGHT_H
#define ORCH_SUPERVISOR_PREFLIGHT_H

#include "sandbox/cell.h"
#include "supervisor/run.h"

/* The real path of the workspace; refuses one that contains the state directory or lies in it, and submounts.
 * Exit 2. */
int orch_preflight_workspace(const char *dir, const char *state, bool ignore_submounts, char **ret,
                             struct orch_err *err);
/* A .git file: said once, changes nothing. */
void orch_preflight_notes(const char *workspace, struct orch_progress *p);
/* Refuses what this host cannot hold for the whole tree: memory and pids without "scope": "process". Exit 3.
 * Makes room for cgroups where that helps (orch_cgroup_ready), so it comes before the first fork. */
int orch_preflight_limits(const struct orch_profile *p, struct orch_err *err);
/* Compiles a plan for each phase and each gate command; keeps the phases' in r->plans. -EINVAL + diagnostics:
 * exit 2. */
int orch_preflight_plans(struct orch_run *r, struct orch_diags *d);
int orch_preflight_all_limits(const struct orch_run *r, struct orch_err *err);
/* Refuses to start inside a sandbox of ours, before anything else is looked at. Exit 3. */
int orch_preflight_inside(struct orch_err *err);
/* Adds to an error of exit 3 where the fix is told: the command doctor. */
void orch_preflight_point(struct orch_err *err);
/* Tries the host. Exit 3; 10 when the state directory is not writable or has no room for a run. */
int orch_preflight_host(const char *state, const char *workspace, struct orch_err *err);

/* The same for a run: finds its tier. Exit 3 if a profile or gate needs more, or what the tier cannot hold.
 */
int orch_preflight_tier(struct orch_run *r, struct orch_err *err);
/* State directory and room for a run: the first part of that. */
int orch_preflight_state(const char *state, struct orch_err *err);

/* Says so when less is free than the phases are allowed to write: no refusal, they may never do it. */
void orch_preflight_room(const struct orch_run *r, struct orch_progress *p);

/* State is never visible inside (design 8): -EINVAL + diagnostic if a rule or a tool's directory of the plan
 * shows it. */
int orch_preflight_hidden(const char *state, const struct orch_profile *p, const struct orch_plan *plan,
                          struct orch_diags *d);
/* The plan of one attempt. */
int orch_run_compile(const struct orch_run *r, size_t phase, const char *prompt, unsigned attempt,
                     struct orch_plan **ret, struct orch_diags *d);
/* The same for a gate's command. */
int orch_run_compile_gate(const struct orch_run *r, const struct orch_gate *g, struct orch_plan **ret,
                          struct orch_diags *d);
/* The same in a cell, where the workspace is a copy. */
int orch_run_compile_cell(const struct orch_run *r, size_t phase, const char *prompt, unsigned attempt,
                          const struct orch_cell *cell, struct orch_plan **ret, struct orch_diags *d);
/* What --dry-run prints. */
void orch_preflight_describe(const struct orch_run *r, struct orch_buf *out);

#endif
