/* profile_rules.c - the syscalls section, in our spelling and in that of the OCI runtime specification. */
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include "policy/profile_int.h"
#include "policy/syscalls.h"
#include "policy/sysgroups.h"

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

static bool is_escape(const char *name)
{
    return strcmp(name, "@escape") == 0 || in_list(orch_syscall_group("@escape"), name);
}

static const char *near_syscall(const char *s)
{
    const char *names[ORCH_SC_MAX + 1];
    size_t n = 0;
    for (int nr = 0; nr < ORCH_SC_MAX; nr++) {
        const char *name = orch_syscall_name(nr);
        if (name != NULL)
            names[n++] = name;
    }
    names[n] = NULL;
    return orch_near_name(s, s[0] == '@' ? orch_syscall_group_names : names);
}

static bool known_name(const struct orch_rd *rd, const cJSON *node, const char *s)
{
    bool group = s[0] == '@';
    int nr = group ? -1 : orch_syscall_number(s);
    if (group ? orch_syscall_group(s) != NULL : nr >= 0 && nr < ORCH_SC_MAX)
        return true;
    const char *near = near_syscall(s);
    const char *what = group ? "group of system calls" : "system call";
    if (near != NULL)
        orch_json_error(rd->doc, node, rd->d, "unknown %s '%s', did you mean '%s'?", what, s, near);
    else
        orch_json_error(rd->doc, node, rd->d, "unknown %s '%s'", what, s);
    return false;
}

/* --- rules --- */

struct arg {
    const cJSON *node;
    uint64_t index, value, mask, value_two;
    unsigned op;
    bool has_mask, has_two;
};

struct rule {
    struct orch_syscall_rule r;
    struct orch_strv names; /* without groups */
    struct arg args[6];
    size_t n_args;
    bool has_errno;
};

static void add_name(struct rule *rule, const char *name)
{
    int nr = orch_syscall_number(name);
    for (size_t i = 0; i < rule->r.n_nrs && nr >= 0; i++)
        if (rule->r.nrs[i] == nr)
            return;
    if (nr < 0)
        return;
    orch_strv_add(&rule->names, name);
    rule->r.nrs = orch_xreallocarray(rule->r.nrs, rule->r.n_nrs + 1, sizeof(int));
    rule->r.nrs[rule->r.n_nrs++] = nr;
}

static void read_names(const struct orch_rd *rd, const cJSON *node, void *base)
{
    struct rule *rule = base;
    if (!orch_rd_array(rd, node))
        return;
    if (node->child == NULL)
        orch_json_error(rd->doc, node, rd->d, "a rule needs at least one system call");
    const cJSON *item;
    cJSON_ArrayForEach(item, node)
    {
        const char *s = orch_rd_string(rd, item);
        if (s == NULL || !known_name(rd, item, s))
            continue;
        const char *const *group = s[0] == '@' ? orch_syscall_group(s) : NULL;
        if (s[0] != '@')
            add_name(rule, s);
        for (size_t i = 0; group != NULL && group[i] != NULL; i++)
            add_name(rule, group[i]);
    }
}

static void read_action(const struct orch_rd *rd, const cJSON *node, void *base)
{
    static const char *const names[] = {
        "allow", "errno", "kill_process", "SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO", "SCMP_ACT_KILL_PROCESS", NULL};
    static const char *const later[] = {"log",
                                        "notify",
                                        "trap",
                                        "trace",
                                        "kill",
                                        "kill_thread",
                                        "SCMP_ACT_LOG",
                                        "SCMP_ACT_NOTIFY",
                                        "SCMP_ACT_TRAP",
                                        "SCMP_ACT_TRACE",
                                        "SCMP_ACT_KILL",
                                        "SCMP_ACT_KILL_THREAD",
                                        NULL};
    static const enum orch_rule_action actions[] = {ORCH_RULE_ALLOW, ORCH_RULE_ERRNO, ORCH_RULE_KILL};
    struct rule *rule = base;
    unsigned v = 0;
    if (orch_rd_enum(rd, node, names, later, &v))
        rule->r.action = actions[v % 3];
}

/* A name, or a number as string or number: 1 to 4095. Errno 0 would be a success that did nothing. */
static bool read_errno(const struct orch_rd *rd, const cJSON *node, int *ret)
{
    uint64_t v = 0;
    if (cJSON_IsNumber(node)) {
        if (orch_rd_uint(rd, node, 1, 4095, &v))
            *ret = (int)v;
        return v != 0;
    }
    const char *s = orch_rd_string(rd, node);
    int e = s != NULL ? orch_errno_number(s) : -1;
    if (s != NULL && e < 0)
        orch_json_error(rd->doc, node, rd->d,
                        "'%s' is not an errno: a name such as \"EPERM\" or a number from 1 to 4095", s);
    if (e > 0)
        *ret = e;
    return e > 0;
}

static void read_rule_errno(const struct orch_rd *rd, const cJSON *node, void *base)
{
    struct rule *rule = base;
    rule->has_errno = true;
    (void)read_errno(rd, node, &rule->r.errnum);
}

/* --- arguments --- */

static bool read_value(const struct orch_rd *rd, const cJSON *node, uint64_t *ret)
{
    if (cJSON_IsNumber(node))
        return orch_rd_uint(rd, node, 0, ORCH_UINT_MAX_JSON, ret);
    const char *s = orch_rd_string(rd, node);
    if (s == NULL || orch_const_value(s, ret))
        return s != NULL;
    const char *near = orch_const_near(s);
    orch_json_error(rd->doc, node, rd->d, "'%s' is neither a number (\"0x...\") nor a known constant%s%s%s",
                    s, near != NULL ? ", did you mean '" : "", near != NULL ? near : "",
                    near != NULL ? "'?" : "");
    return false;
}

static void read_arg_value(const struct orch_rd *rd, const cJSON *node, void *base)
{
    struct arg *a = base;
    (void)read_value(rd, node, &a->value);
}

static void read_arg_mask(const struct orch_rd *rd, const cJSON *node, void *base)
{
    struct arg *a = base;
    a->has_mask = read_value(rd, node, &a->mask);
}

static void read_arg_two(const struct orch_rd *rd, const cJSON *node, void *base)
{
    struct arg *a = base;
    a->has_two = read_value(rd, node, &a->value_two);
}

enum { OP_EQ, OP_NE, OP_MASKED, OP_OCI };

static const char *const op_names[] = {
    "eq", "ne", "masked_eq", "SCMP_CMP_EQ", "SCMP_CMP_NE", "SCMP_CMP_MASKED_EQ", NULL};
static const char *const op_later[] = {"lt",          "le",          "gt",          "ge",          "in",
                                       "SCMP_CMP_LT", "SCMP_CMP_LE", "SCMP_CMP_GT", "SCMP_CMP_GE", NULL};

static const struct orch_rd_field arg_fields[] = {
    {.key = "index",
     .kind = ORCH_RD_UINT,
     .off = offsetof(struct arg, index),
     .min = 0,
     .max = 5,
     .required = true},
    {.key = "op",
     .kind = ORCH_RD_ENUM,
     .off = offsetof(struct arg, op),
     .names = op_names,
     .later = op_later,
     .required = true},
    {.key = "value",
     .kind = ORCH_RD_CALL,
     .call = read_arg_value,
     .required = true,
     .shape = &orch_shape_value},
    {.key = "mask", .kind = ORCH_RD_CALL, .call = read_arg_mask, .shape = &orch_shape_value},
    {.key = "valueTwo", .kind = ORCH_RD_CALL, .call = read_arg_two, .shape = &orch_shape_value},
    {.key = "reason", .kind = ORCH_RD_NONE},
    {0},
};

/* The OCI spelling has the mask in `value` and the value in `valueTwo`; ours says `mask`. valueTwo 0 is usual
 * filler there. */
static void settle_mask(const struct orch_rd *rd, struct arg *a)
{
    bool oci = a->op >= OP_OCI;
    bool masked = a->op % 3 == OP_MASKED;
    if (a->has_mask && (oci || !masked))
        orch_json_error(rd->doc, orch_rd_get(a->node, "mask"), rd->d,
                        "'mask' is only for the operator masked_eq");
    if (a->has_two && (!oci || (!masked && a->value_two != 0)))
        orch_json_error(rd->doc, orch_rd_get(a->node, "valueTwo"), rd->d,
                        "'valueTwo' is only for the operator SCMP_CMP_MASKED_EQ");
    if (masked && !(oci ? a->has_two : a->has_mask))
        orch_json_error(rd->doc, a->node, rd->d, "missing key '%s'", oci ? "valueTwo" : "mask");
    if (masked && oci) {
        a->mask = a->value;
        a->value = a->value_two;
    }
    if (!masked)
        a->mask = UINT64_MAX;
    a->op %= 3;
}

static bool index_repeated(const struct orch_rd *rd, const struct rule *rule, const struct arg *a)
{
    for (size_t i = 0; i < rule->n_args; i++) {
        if (rule->args[i].index != a->index)
            continue;
        unsigned line, col;
        orch_json_pos(rd->doc, rule->args[i].node, &line, &col);
        orch_json_error(rd->doc, a->node, rd->d,
                        "argument %u has a condition already at line %u, column %u: write two rules",
                        (unsigned)a->index, line, col);
        return true;
    }
    return false;
}

static void read_args(const struct orch_rd *rd, const cJSON *node, void *base)
{
    struct rule *rule = base;
    if (!orch_rd_array(rd, node))
        return;
    const cJSON *item;
    cJSON_ArrayForEach(item, node)
    {
        size_t before = rd->d->n;
        struct arg a = {.node = item};
        if (!orch_rd_object(rd, item, arg_fields, &a) || rd->d->n != before)
            continue;
        settle_mask(rd, &a);
        if (!index_repeated(rd, rule, &a) && rule->n_args < 6)
            rule->args[rule->n_args++] = a;
    }
}

static const struct orch_rd_shape arg_shape = {.type = "object", .fields = arg_fields};
static const struct orch_rd_shape args_shape = {.type = "array", .items = &arg_shape};

/*
 * The width of the argument, which all calls of the rule must share: the kernel drops the upper half of a
 * 32-bit argument, so a comparison that looked at it could be evaded (CVE-2019-10063).
 */
static bool shared_width(const struct orch_rd *rd, const struct rule *rule, const struct arg *a,
                         uint64_t *ret)
{
    for (size_t i = 0; i < rule->names.n; i++) {
        uint64_t mask = orch_syscall_arg_mask(rule->r.nrs[i], (unsigned)a->index);
        if (i > 0 && mask != *ret) {
            orch_json_error(rd->doc, a->node, rd->d,
                            "argument %u is not equally wide in '%s' and '%s': write a rule for each",
                            (unsigned)a->index, rule->names.v[0], rule->names.v[i]);
            return false;
        }
        *ret = mask;
    }
    return true;
}

/* A sign-extended constant (AT_FDCWD) is cut to the width; any other bit outside could never compare equal.
 */
static void settle_arg(const struct orch_rd *rd, struct rule *rule, const struct arg *a)
{
    uint64_t width = UINT64_MAX, value = a->value;
    if (!shared_width(rd, rule, a, &width))
        return;
    if (width != UINT64_MAX && value >= 0xffffffff80000000ull)
        value &= width;
    uint64_t mask = a->mask & width;
    if ((value & ~mask) != 0 || mask == 0) {
        orch_json_error(rd->doc, a->node, rd->d, "the condition can never decide: argument %u has %d bits%s",
                        (unsigned)a->index, __builtin_popcountll(width),
                        a->op == OP_MASKED ? " and the mask cuts it" : "");
        return;
    }
    struct orch_arg_cond *c = &rule->r.args[rule->r.n_args++];
    c->index = (unsigned)a->index;
    c->value = value;
    c->mask = mask;
    c->op = a->op == OP_NE ? ORCH_OP_NE : mask == UINT64_MAX ? ORCH_OP_EQ : ORCH_OP_MASKED_EQ;
}

/* --- the rule as a whole --- */

static const struct orch_rd_field rule_fields[] = {
    {.key = "syscalls", .kind = ORCH_RD_CALL, .call = read_names, .shape = &orch_shape_strings},
    {.key = "names", .kind = ORCH_RD_CALL, .call = read_names, .shape = &orch_shape_strings},
    {.key = "action",
     .kind = ORCH_RD_CALL,
     .call = read_action,
     .required = true,
     .shape = &orch_shape_string},
    {.key = "errno", .kind = ORCH_RD_CALL, .call = read_rule_errno, .shape = &orch_shape_value},
    {.key = "errnoRet", .kind = ORCH_RD_CALL, .call = read_rule_errno, .shape = &orch_shape_value},
    {.key = "args", .kind = ORCH_RD_CALL, .call = read_args, .shape = &args_shape},
    {.key = "reason", .kind = ORCH_RD_NONE},
    {0},
};

static const struct orch_rd_shape rule_shape = {.type = "object", .fields = rule_fields};
static const struct orch_rd_shape rules_shape = {.type = "array", .items = &rule_shape};

static void check_spelling(const struct orch_rd *rd, const cJSON *node, const struct rule *rule)
{
    bool ours = orch_rd_get(node, "syscalls") != NULL, oci = orch_rd_get(node, "names") != NULL;
    if (!ours && !oci)
        orch_json_error(rd->doc, node, rd->d, "missing key 'syscalls'");
    if (ours && oci)
        orch_json_error(rd->doc, node, rd->d,
                        "'syscalls' and 'names' are the same key in two spellings: give one");
    if (orch_rd_get(node, "errno") != NULL && orch_rd_get(node, "errnoRet") != NULL)
        orch_json_error(rd->doc, node, rd->d,
                        "'errno' and 'errnoRet' are the same key in two spellings: give one");
    if (rule->has_errno && rule->r.action != ORCH_RULE_ERRNO)
        orch_json_error(rd->doc, node, rd->d, "an errno is only for the action errno");
}

static void check_calls(const struct orch_rd *rd, const cJSON *node, const struct rule *rule)
{
    for (size_t i = 0; i < rule->names.n; i++) {
        const char *name = rule->names.v[i];
        if (rule->r.action == ORCH_RULE_ALLOW && is_escape(name))
            orch_json_error(rd->doc, node, rd->d,
                            "allowing '%s' (a member of @escape) is not in this version", name);
        if (rule->n_args > 0 && in_list(never_judged, name))
            orch_json_error(rd->doc, node, rd->d, "a rule on the arguments of '%s' is not in this version",
                            name);
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
    {"socket", 0, false, {AF_UNIX, AF_INET, AF_INET6}, 3},
    {"socketpair", 0, false, {AF_UNIX}, 1},
    {"personality", 0, false, {0, UINT32_MAX}, 2},
    {"seccomp", 0, false, {2 /* SECCOMP_GET_ACTION_AVAIL */, 3 /* SECCOMP_GET_NOTIF_SIZES */}, 2},
};

static bool judged_value_ok(const struct judged *j, const struct orch_syscall_rule *r)
{
    const struct orch_arg_cond *c = NULL;
    for (size_t i = 0; i < r->n_args; i++)
        if (r->args[i].index == j->index && r->args[i].op == ORCH_OP_MASKED_EQ &&
            r->args[i].mask == UINT32_MAX)
            c = &r->args[i];
    bool found = false;
    for (size_t i = 0; c != NULL && i < j->n; i++)
        found = found || c->value == j->values[i];
    return c != NULL && found != j->except;
}

static void check_judged(const struct orch_rd *rd, const cJSON *node, const struct rule *rule)
{
    if (rule->r.action != ORCH_RULE_ALLOW || rule->r.n_args == 0)
        return;
    for (size_t i = 0; i < ORCH_NELEM(judged); i++)
        if (orch_strv_has(&rule->names, judged[i].syscall) && !judged_value_ok(&judged[i], &rule->r))
            orch_json_error(rd->doc, node, rd->d,
                            "allowing '%s' by anything but 'eq' on argument %u with a harmless value "
                            "(@escape) is not in this "
                            "version",
                            judged[i].syscall, judged[i].index);
}

static void read_rule(const struct orch_rd *rd, const cJSON *node, struct orch_profile *p)
{
    struct rule rule = {.r = {.errnum = EPERM}};
    size_t before = rd->d->n;
    if (orch_rd_object(rd, node, rule_fields, &rule)) {
        check_spelling(rd, node, &rule);
        check_calls(rd, node, &rule);
        for (size_t i = 0; i < rule.n_args && rd->d->n == before; i++)
            settle_arg(rd, &rule, &rule.args[i]);
        if (rd->d->n == before)
            check_judged(rd, node, &rule);
    }
    orch_strv_fini(&rule.names);
    if (rd->d->n != before) {
        free(rule.r.nrs);
        return;
    }
    if (rule.r.action != ORCH_RULE_ERRNO)
        rule.r.errnum = 0;
    rule.r.origin = orch_prof_origin(rd, node);
    *orch_prof_add_rule(p) = rule.r;
}

static void read_rules(const struct orch_rd *rd, const cJSON *node, void *base)
{
    if (!orch_rd_array(rd, node))
        return;
    const cJSON *item;
    cJSON_ArrayForEach(item, node) read_rule(rd, item, base);
}

/* --- the section --- */

static void read_default(const struct orch_rd *rd, const cJSON *node, void *base)
{
    struct orch_profile *p = base;
    (void)read_errno(rd, node, &p->sc_default_errno);
}

static void read_allow(const struct orch_rd *rd, const cJSON *node, void *base)
{
    struct orch_profile *p = base;
    if (!orch_rd_array(rd, node))
        return;
    const cJSON *item;
    cJSON_ArrayForEach(item, node)
    {
        const char *s = orch_rd_string(rd, item);
        if (s == NULL)
            continue;
        bool parent = strcmp(s, ORCH_PROF_PARENT) == 0;
        if (!parent && !known_name(rd, item, s))
            continue;
        if (!parent && is_escape(s))
            orch_json_error(rd->doc, item, rd->d, "allowing '%s' (@escape) is not in this version", s);
        else if (orch_strv_has(&p->sc_allow, s))
            orch_json_error(rd->doc, item, rd->d, "'%s' is given twice", s);
        else
            orch_strv_add(&p->sc_allow, s);
    }
}

static const struct orch_rd_field syscalls_fields[] = {
    {.key = "default", .kind = ORCH_RD_CALL, .call = read_default, .shape = &orch_shape_value},
    {.key = "allow", .kind = ORCH_RD_CALL, .call = read_allow, .shape = &orch_shape_strings},
    {.key = "rules", .kind = ORCH_RD_CALL, .call = read_rules, .shape = &rules_shape},
    {.key = "reason", .kind = ORCH_RD_NONE},
    {0},
};

const struct orch_rd_shape orch_prof_syscalls_shape = {.type = "object", .fields = syscalls_fields};

void orch_prof_read_syscalls(const struct orch_rd *rd, const cJSON *node, void *base)
{
    struct orch_prof_doc *doc = base;
    (void)orch_rd_object(rd, node, syscalls_fields, &doc->own);
}
