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
/* "TIOCSTI", "0x5412", "21522" -> value. False if it is none of these. */
bool orch_const_value(const char *s, uint64_t *ret);
/* Nearest constant name or NULL. */
const char *orch_const_near(const char *s);

#endif
