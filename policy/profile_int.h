/*
 * profile_int.h - how a profile document becomes an effective profile. Private to policy/profile*.c and
 * builtin.c.
 *
 * One document is parsed into a struct orch_prof_doc: `own` holds only what the document itself says (0 and
 * empty where it says nothing; lists keep the element "@parent"). orch_prof_compose() lays `own` over the
 * parent's effective profile and orch_profile_within() (within.h) then compares the two effective profiles.
 * The JSON stays loaded until the end, because composition asks it which keys were given and the checks
 * report at its nodes.
 */
#ifndef ORCH_POLICY_PROFILE_INT_H
#define ORCH_POLICY_PROFILE_INT_H

#include "policy/profile.h"
#include "policy/read.h"

#define ORCH_PROF_MAX_DEPTH 8
#define ORCH_PROF_PARENT "@parent"

struct orch_prof_doc {
    struct orch_json *json;
    char *file;    /* as shown in diagnostics: the path, or the built-in's name (then without a slash) */
    bool builtin;  /* its tools are optional */
    char *extends; /* reference as written, or NULL */
    char *widen;   /* the reason, or NULL */
    bool create_parent;
    uint64_t schema;
    struct orch_profile own;
};

/* Parses doc->json into the rest; doc->file and doc->builtin are set. Errors go to d. */
void orch_prof_parse(struct orch_prof_doc *doc, struct orch_diags *d);
void orch_prof_doc_fini(struct orch_prof_doc *doc);

/* The profile that a document without `extends` is laid over: empty lists, defaults of profile.h. */
struct orch_profile *orch_prof_defaults(void);
/* New effective profile: doc over parent. */
struct orch_profile *orch_prof_compose(const struct orch_profile *parent, const struct orch_prof_doc *doc);
/* Checks that only make sense on the composed profile; reported in doc, the last of the chain. */
void orch_prof_check_whole(const struct orch_profile *eff, const struct orch_prof_doc *doc,
                           struct orch_diags *d);

/* Gives eff the places of the parent's keys and, over them, of the document's. */
void orch_prof_add_places(struct orch_profile *eff, const struct orch_profile *parent,
                          const struct orch_prof_doc *doc);
void orch_prof_places_fini(struct orch_profile *p);

/* Sections with files of their own. base is the struct orch_prof_doc. */
extern const struct orch_rd_shape orch_prof_shape, orch_prof_fs_shape, orch_prof_syscalls_shape;
void orch_prof_read_filesystem(const struct orch_rd *rd, const cJSON *node, void *base);
void orch_prof_read_syscalls(const struct orch_rd *rd, const cJSON *node, void *base);

/* The section says itself which calls are allowed: in "allow", or as an OCI object by its default action. */
bool orch_prof_gives_allow(const cJSON *syscalls);
/* The section's list of rules in either spelling, or NULL. */
const cJSON *orch_prof_rules_node(const cJSON *syscalls);

/* What only an OCI object has (profile_oci.c). base is the struct orch_profile. */
void orch_prof_oci_default(const struct orch_rd *rd, const cJSON *node, void *base);
void orch_prof_oci_architectures(const struct orch_rd *rd, const cJSON *node, void *base);
void orch_prof_oci_flags(const struct orch_rd *rd, const cJSON *node, void *base);
void orch_prof_oci_listener(const struct orch_rd *rd, const cJSON *node, void *base);
/* An action that the language does not have is reported with the reason: true. */
bool orch_prof_action_refused(const struct orch_rd *rd, const cJSON *node);
/* The names of those actions, for near names. NULL-terminated. */
extern const char *const orch_prof_refused_actions[];
/* Reports, at b, that a and b are one key in two spellings, if both are there. */
void orch_prof_two_spellings(const struct orch_rd *rd, const cJSON *object, const char *a, const char *b);

/* The name is a member of @escape. */
bool orch_prof_is_escape(const char *name);
/* Calls of a rule that need a reason, or that cannot have this rule; `conditions`: it has arguments. */
void orch_prof_check_calls(const struct orch_rd *rd, const cJSON *node, const struct orch_syscall_rule *r,
                           bool conditions);
/* An allow rule on a call that is judged by its registers names harmless values, or has a reason. */
void orch_prof_check_judged(const struct orch_rd *rd, const cJSON *node, const struct orch_syscall_rule *r);

/* "FILE#POINTER" of a node. Owned by the caller. */
char *orch_prof_origin(const struct orch_rd *rd, const cJSON *node);

/*
 * The path of a rule in a form that compares: ${home} and ${tmp} as the paths they stand for, `anywhere` as
 * written. Owned by the caller.
 */
char *orch_prof_fs_key(const struct orch_fs_rule *r);
/* Do both rules name one path? */
bool orch_prof_fs_same(const struct orch_fs_rule *a, const struct orch_fs_rule *b);
void orch_prof_fs_rule_fini(struct orch_fs_rule *r);
void orch_prof_tool_fini(struct orch_tool *t);
/* Frees what the fields hold, not p itself. */
void orch_prof_fini(struct orch_profile *p);

/* Growing arrays of a profile; each returns the new, zeroed element. */
struct orch_fs_rule *orch_prof_add_fs(struct orch_profile *p);
struct orch_tool *orch_prof_add_tool(struct orch_profile *p);
struct orch_syscall_rule *orch_prof_add_rule(struct orch_profile *p);
struct orch_env_pair *orch_prof_add_env(struct orch_env_pair **v, size_t *n);

/* Names of the syscall section (consts.c). */
/* "EPERM" or "1" -> 1..4095, else -1. */
int orch_errno_number(const char *s);
/* "TIOCSTI", "0x5412", "21522", or several of these joined by "|" -> value. False if it is none of these. */
bool orch_const_value(const char *s, uint64_t *ret);
/* Name nearest to the first part of s that is neither name nor number, or NULL. */
const char *orch_const_near(const char *s);
/* The i-th named constant; false behind the last. */
bool orch_const_at(size_t i, const char **ret_name, uint64_t *ret_value);

#endif
