/* profile_rules.c - the syscalls section, in our spelling and in that of the OCI runtime specification. */
#include <errno.h>
#include <string.h>
#include "policy/profile_int.h"
#include "policy/syscalls_internal.h"
#include "policy/sysgroups.h"

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
    uint64_t set[ORCH_ARG_SET_MAX]; /* `value` as a list */
    size_t n_set;
    unsigned op;
    bool is_list, has_mask, has_two;
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
    static const char *const names[] = {"allow",
                                        "errno",
                                        "kill_process",
                                        "log",
                                        "SCMP_ACT_ALLOW",
                                        "SCMP_ACT_ERRNO",
                                        "SCMP_ACT_KILL_PROCESS",
                                        "SCMP_ACT_LOG",
                                        NULL};
    static const enum orch_rule_action actions[] = {ORCH_RULE_ALLOW, ORCH_RULE_ERRNO, ORCH_RULE_KILL,
                                                    ORCH_RULE_LOG};
    struct rule *rule = base;
    unsigned v = 0;
    if (!orch_prof_action_refused(rd, node) && orch_rd_enum(rd, node, names, orch_prof_refused_actions, &v))
        rule->r.action = actions[v % 4];
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

static void read_arg_list(const struct orch_rd *rd, const cJSON *node, struct arg *a)
{
    const cJSON *item;
    a->is_list = true;
    if (node->child == NULL)
        orch_json_error(rd->doc, node, rd->d, "'in' needs at least one value");
    cJSON_ArrayForEach(item, node)
    {
        uint64_t v = 0;
        if (a->n_set == ORCH_ARG_SET_MAX) {
            orch_json_error(rd->doc, item, rd->d, "'in' takes at most %d values", ORCH_ARG_SET_MAX);
            return;
        }
        if (read_value(rd, item, &v))
            a->set[a->n_set++] = v;
    }
}

static void read_arg_value(const struct orch_rd *rd, const cJSON *node, void *base)
{
    struct arg *a = base;
    if (cJSON_IsArray(node))
        read_arg_list(rd, node, a);
    else
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

/* Indices of op_names; from OP_OCI on the OCI spelling of those from OP_EQ on. */
enum { OP_IN, OP_SUBSET, OP_EQ, OP_NE, OP_MASKED, OP_LT, OP_LE, OP_GT, OP_GE, OP_OCI };

static const char *const op_names[] = {
    "in",          "subset_of",   "eq",          "ne",          "masked_eq",   "lt",
    "le",          "gt",          "ge",          "SCMP_CMP_EQ", "SCMP_CMP_NE", "SCMP_CMP_MASKED_EQ",
    "SCMP_CMP_LT", "SCMP_CMP_LE", "SCMP_CMP_GT", "SCMP_CMP_GE", NULL};

/* A number or constant; of `in` a list of them. */
static const struct orch_rd_shape values_shape = {.type = "array", .items = &orch_shape_value};
static const struct orch_rd_shape *const value_or_list[] = {&orch_shape_value, &values_shape, NULL};
static const struct orch_rd_shape arg_value_shape = {.any_of = value_or_list};

static const struct orch_rd_field arg_fields[] = {
    {.key = "index",
     .kind = ORCH_RD_UINT,
     .off = offsetof(struct arg, index),
     .min = 0,
     .max = 5,
     .required = true},
    {.key = "op", .kind = ORCH_RD_ENUM, .off = offsetof(struct arg, op), .names = op_names, .required = true},
    {.key = "value",
     .kind = ORCH_RD_CALL,
     .call = read_arg_value,
     .required = true,
     .shape = &arg_value_shape},
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
    a->op = oci ? a->op - OP_OCI + OP_EQ : a->op;
    bool masked = a->op == OP_MASKED;
    if (a->is_list != (a->op == OP_IN))
        orch_json_error(rd->doc, orch_rd_get(a->node, "value"), rd->d,
                        a->is_list ? "a list of values is only for the operator in"
                                   : "the operator in takes a list of values");
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

/* A sign-extended constant (AT_FDCWD) is cut to the width. */
static uint64_t cut_sign(uint64_t value, uint64_t width)
{
    return width != UINT64_MAX && value >= 0xffffffff80000000ull ? value & width : value;
}

static int compare_values(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

/* Values beyond the width, and a value that is there twice: false with a diagnostic. */
static bool settle_set(const struct orch_rd *rd, const struct arg *a, uint64_t width, struct orch_arg_cond *c)
{
    for (size_t i = 0; i < a->n_set; i++) {
        uint64_t v = cut_sign(a->set[i], width);
        if ((v & ~width) != 0)
            return false;
        for (size_t k = 0; k < c->n_set; k++) {
            if (c->set[k] != v)
                continue;
            const cJSON *list = orch_rd_get(a->node, "value");
            unsigned line, col;
            orch_json_pos(rd->doc, cJSON_GetArrayItem(list, (int)k), &line, &col);
            orch_json_error(rd->doc, cJSON_GetArrayItem(list, (int)i), rd->d,
                            "the value is in the list already, at line %u, column %u", line, col);
        }
        c->set[c->n_set++] = v;
    }
    qsort(c->set, c->n_set, sizeof(c->set[0]), compare_values);
    return true;
}

/* A condition in the form of the effective profile; false if it holds for no value, or for every one. */
static bool settle_op(const struct orch_rd *rd, const struct arg *a, uint64_t width, struct orch_arg_cond *c)
{
    static const enum orch_arg_op ops[] = {[OP_IN] = ORCH_OP_IN,
                                           [OP_SUBSET] = ORCH_OP_MASKED_EQ,
                                           [OP_EQ] = ORCH_OP_EQ,
                                           [OP_NE] = ORCH_OP_NE,
                                           [OP_MASKED] = ORCH_OP_MASKED_EQ,
                                           [OP_LT] = ORCH_OP_LT,
                                           [OP_LE] = ORCH_OP_LE,
                                           [OP_GT] = ORCH_OP_GT,
                                           [OP_GE] = ORCH_OP_GE};
    bool subset = a->op == OP_SUBSET;
    c->op = ops[a->op];
    c->value = cut_sign(a->value, width);
    c->mask = a->mask & width;
    if (subset && (c->value & ~width) == 0) { /* no bit outside the value: those bits are all 0 */
        c->mask = width & ~c->value;
        c->value = 0;
    }
    if (a->op == OP_IN)
        return settle_set(rd, a, width, c);
    if (a->op == OP_LT || a->op == OP_GE)
        return c->value > 0 && (c->value & ~width) == 0;
    if (a->op == OP_LE || a->op == OP_GT)
        return c->value < width;
    if (a->op == OP_EQ && width != UINT64_MAX)
        c->op = ORCH_OP_MASKED_EQ;
    return (c->value & ~c->mask) == 0 && c->mask != 0;
}

static void settle_arg(const struct orch_rd *rd, struct rule *rule, const struct arg *a)
{
    uint64_t width = UINT64_MAX;
    if (!shared_width(rd, rule, a, &width))
        return;
    struct orch_arg_cond *c = &rule->r.args[rule->r.n_args++];
    c->index = (unsigned)a->index;
    if (!settle_op(rd, a, width, c))
        orch_json_error(rd->doc, a->node, rd->d, "the condition can never decide: argument %u has %d bits%s",
                        (unsigned)a->index, __builtin_popcountll(width),
                        a->op == OP_MASKED ? " and the mask cuts it" : "");
    else if (a->op >= OP_LT && rule->n_args > 1)
        orch_json_error(rd->doc, a->node, rd->d,
                        "a range (lt, le, gt, ge) must be the only condition of its rule");
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
    if (orch_rd_get(node, "syscalls") == NULL && orch_rd_get(node, "names") == NULL)
        orch_json_error(rd->doc, node, rd->d, "missing key 'syscalls'");
    orch_prof_two_spellings(rd, node, "syscalls", "names");
    orch_prof_two_spellings(rd, node, "errno", "errnoRet");
    if (rule->has_errno && rule->r.action != ORCH_RULE_ERRNO)
        orch_json_error(rd->doc, node, rd->d, "an errno is only for the action errno");
}

static void read_rule(const struct orch_rd *rd, const cJSON *node, struct orch_profile *p)
{
    struct rule rule = {.r = {.errnum = EPERM}};
    size_t before = rd->d->n;
    if (orch_rd_object(rd, node, rule_fields, &rule)) {
        check_spelling(rd, node, &rule);
        orch_prof_check_calls(rd, node, &rule.r, rule.n_args > 0);
        for (size_t i = 0; i < rule.n_args && rd->d->n == before; i++)
            settle_arg(rd, &rule, &rule.args[i]);
        if (rd->d->n == before)
            orch_prof_check_judged(rd, node, &rule.r);
    }
    orch_strv_fini(&rule.names);
    if (rd->d->n != before) {
        free(rule.r.nrs);
        return;
    }
    if (rule.r.action != ORCH_RULE_ERRNO)
        rule.r.errnum = 0;
    rule.r.origin = orch_prof_origin(rd, node);
    orch_json_pos(rd->doc, node, &rule.r.line, &rule.r.col);
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

static void given_twice(const struct orch_rd *rd, const cJSON *list, const cJSON *item)
{
    const cJSON *first;
    unsigned line = 0, col = 0;
    cJSON_ArrayForEach(first, list)
    {
        if (cJSON_IsString(first) && strcmp(first->valuestring, item->valuestring) == 0)
            break;
    }
    orch_json_pos(rd->doc, first, &line, &col);
    orch_json_error(rd->doc, item, rd->d, "'%s' is given twice: it is at line %u, column %u already",
                    item->valuestring, line, col);
}

/* Why the name cannot stand in "allow", or NULL. */
static const char *not_allowable(const char *s)
{
    if (s[0] == '@')
        return orch_syscall_group_allows(s, NULL) == 0 ? "every member is a way out of the sandbox (@escape)"
                                                       : NULL;
    if (orch_sc_never_allowed(orch_syscall_number(s)))
        return "what it does is out of sight of filter and supervisor";
    return orch_prof_is_escape(s)
               ? "it is a way out of the sandbox (@escape); a rule with a \"reason\" can allow it"
               : NULL;
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
        const char *why = parent ? NULL : not_allowable(s);
        if (why != NULL)
            orch_json_error(rd->doc, item, rd->d, "'%s' cannot be allowed here: %s", s, why);
        else if (orch_strv_has(&p->sc_allow, s))
            given_twice(rd, node, item);
        else
            orch_strv_add(&p->sc_allow, s);
    }
}

static const struct orch_rd_field syscalls_fields[] = {
    {.key = "default", .kind = ORCH_RD_CALL, .call = read_default, .shape = &orch_shape_value},
    {.key = "defaultErrnoRet", .kind = ORCH_RD_CALL, .call = read_default, .shape = &orch_shape_value},
    {.key = "defaultAction",
     .kind = ORCH_RD_CALL,
     .call = orch_prof_oci_default,
     .shape = &orch_shape_string},
    {.key = "architectures",
     .kind = ORCH_RD_CALL,
     .call = orch_prof_oci_architectures,
     .shape = &orch_shape_strings},
    {.key = "flags", .kind = ORCH_RD_CALL, .call = orch_prof_oci_flags, .shape = &orch_shape_strings},
    {.key = "listenerPath",
     .kind = ORCH_RD_CALL,
     .call = orch_prof_oci_listener,
     .shape = &orch_shape_string},
    {.key = "listenerMetadata",
     .kind = ORCH_RD_CALL,
     .call = orch_prof_oci_listener,
     .shape = &orch_shape_string},
    {.key = "allow", .kind = ORCH_RD_CALL, .call = read_allow, .shape = &orch_shape_strings},
    {.key = "rules", .kind = ORCH_RD_CALL, .call = read_rules, .shape = &rules_shape},
    {.key = "syscalls", .kind = ORCH_RD_CALL, .call = read_rules, .shape = &rules_shape},
    {.key = "reason", .kind = ORCH_RD_NONE},
    {0},
};

const struct orch_rd_shape orch_prof_syscalls_shape = {.type = "object", .fields = syscalls_fields};

void orch_prof_read_syscalls(const struct orch_rd *rd, const cJSON *node, void *base)
{
    struct orch_prof_doc *doc = base;
    size_t before = rd->d->n;
    if (!orch_rd_object(rd, node, syscalls_fields, &doc->own))
        return;
    orch_prof_two_spellings(rd, node, "rules", "syscalls");
    orch_prof_two_spellings(rd, node, "default", "defaultAction");
    if (orch_rd_get(node, "defaultErrnoRet") != NULL && orch_rd_get(node, "defaultAction") == NULL)
        orch_json_error(rd->doc, orch_rd_get(node, "defaultErrnoRet"), rd->d,
                        "'defaultErrnoRet' belongs to 'defaultAction'; without it, say 'default'");
    if (rd->d->n == before)
        (void)orch_syscalls_check_rules(&doc->own, rd->d);
}
