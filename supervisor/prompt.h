/*
 * prompt.h - what an agent is told: its prompt, and the contents of /orch/phase.json and /orch/feedback.json
 * (design 5.3).
 *
 * Feedback repeats what an earlier attempt caused. It is data: every line is quoted and escaped, its length
 * capped (T-GATE-19).
 */
#ifndef ORCH_SUPERVISOR_PROMPT_H
#define ORCH_SUPERVISOR_PROMPT_H

#include "supervisor/run.h"

/* The phase's prompt, with the feedback of the last failed attempt behind it. */
void orch_prompt_text(const struct orch_run *r, size_t phase, struct orch_buf *out);
/* /orch/feedback.json: an object, with "failed": null when nothing failed before. */
void orch_prompt_feedback(const struct orch_run *r, size_t phase, struct orch_buf *out);
/* /orch/phase.json. */
void orch_prompt_phase(const struct orch_run *r, size_t phase, unsigned attempt, const struct orch_plan *plan,
                       const char *prompt, uint64_t wall_ms, struct orch_buf *out);
/* Members that phase.json, feedback.json and the answer to `status` share: tools, writable paths, network,
 * kinds of entries, limits, gates. phase, plan may be NULL. */
void orch_prompt_facts(struct orch_jw *w, const struct orch_phase *phase, const struct orch_plan *plan,
                       uint64_t wall_ms);

#endif
