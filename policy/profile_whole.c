/* profile_whole.c - what only makes sense on a composed profile. */
#include "policy/profile_int.h"

void orch_prof_check_whole(const struct orch_profile *eff, const struct orch_prof_doc *doc,
                           struct orch_diags *d)
{
    const cJSON *root = orch_json_root(doc->json);
    const cJSON *level = orch_rd_get(orch_rd_get(root, "audit"), "level");
    for (size_t i = 0; i < eff->n_fs && eff->audit_level == ORCH_AUDIT_WRITES; i++) {
        if (eff->fs[i].access != ORCH_ACCESS_NONE)
            continue;
        orch_json_error(doc->json, level != NULL ? level : root, d,
                        "audit level \"writes\" does not watch reads, so the rule %s (none) could not be "
                        "recorded: use \"opens\"",
                        eff->fs[i].origin);
        return;
    }
}
