/* limit_rule.c - which document gave the limit that ended an attempt: the rule of its record. See attempt.h.
 */
#include <string.h>

#include "supervisor/attempt.h"

char *orch_limit_rule(const struct orch_profile *p, const char *limit)
{
    ORCH_AUTO_FREE char *key = orch_xasprintf("limits.%s", limit);
    ORCH_AUTO_FREE char *pointer = orch_xasprintf("/limits/%s", limit);

    if (strcmp(limit, "home") == 0 || strcmp(limit, "tmp") == 0) /* one size for both */
        return orch_profile_rule(p, "tmp", "/tmp");
    return orch_profile_rule(p, key, pointer);
}

/* Does the workflow itself say it, or is it a default? */
static char *timeout_rule(const struct orch_workflow *wf, size_t phase)
{
    ORCH_AUTO(orch_json_freep) struct orch_json *doc = NULL;
    ORCH_AUTO(orch_diags_fini) struct orch_diags d = {0};
    const cJSON *node = NULL;

    if (orch_json_parse(wf->file, wf->text, strlen(wf->text), &doc, &d) == 0)
        node =
            cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(orch_json_root(doc), "phases"), (int)phase);
    if (cJSON_GetObjectItemCaseSensitive(node, "timeout"))
        return orch_xasprintf("%s#/phases/%zu/timeout", wf->file, phase);
    return orch_xstrdup("sandbox#/timeout");
}

char *orch_attempt_limit_rule(const struct orch_attempt *a)
{
    const struct orch_workflow *wf = a->run->wf;
    const struct orch_profile *p = a->phase->profile;
    const char *limit = a->outcome.limit ? a->outcome.limit : "unknown";

    if (strcmp(limit, "workflow") == 0)
        return orch_xasprintf("%s#/timeout", wf->file);
    if (strcmp(limit, "wall") == 0 && !(p->limits.wall_ms && p->limits.wall_ms < a->phase->timeout_ms))
        return timeout_rule(wf, a->index);
    return orch_limit_rule(p, limit);
}
