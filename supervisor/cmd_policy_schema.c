/* cmd_policy_schema.c - the verb `policy schema`: the JSON Schema of a document, as it ships in
 * profiles/schema. */
#include <errno.h>
#include <string.h>

#include "common/escape.h"
#include "common/exit.h"
#include "policy/schema.h"
#include "supervisor/policy.h"

static const char *const names[] = {
    [ORCH_SCHEMA_PROFILE] = "profile",
    [ORCH_SCHEMA_WORKFLOW] = "workflow",
    [ORCH_SCHEMA_TEST] = "test",
    [ORCH_SCHEMA_TEST + 1] = NULL,
};

int orch_cmd_policy_schema(const struct orch_options *opt)
{
    ORCH_AUTO_BUF struct orch_buf out = {0};
    const char *name = opt->n_args ? opt->args[0] : names[ORCH_SCHEMA_PROFILE];
    ORCH_AUTO_FREE char *shown = orch_escape_str(name);
    struct orch_err err = {0};

    for (unsigned i = 0; names[i]; i++) {
        if (strcmp(names[i], name) != 0)
            continue;
        orch_schema_write((enum orch_schema)i, &out);
        return orch_policy_print(&out, ORCH_EXIT_OK);
    }
    (void)orch_err_exit(&err, ORCH_EXIT_USAGE, EINVAL, "'%s' is no document: profile, workflow or test",
                        shown);
    return orch_fail(&err, ORCH_EXIT_USAGE);
}
