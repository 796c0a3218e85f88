#include "supervisor/policy.h"
int orch_cmd_policy_explain(const struct orch_options *opt){(void)opt;return 2;}
