/*
 * profile.h - the profile document (design 5.2): what one phase, tool or gate may do.
 *
 * A struct orch_profile is the *effective* profile: parsed strictly, parents composed, narrowing checked. It
 * is pure data: strings are as written (variables not yet expanded); orch_plan_compile() turns it into
 * something enforceable. Loading reads files and nothing else. Ownership: orch_profile_free() frees all of
 * it.
 */
#ifndef ORCH_POLICY_PROFILE_H
#define ORCH_POLICY_PROFILE_H

#include "common/err.h"
#include "common/json.h"

enum orch_access { /* ordered: NONE < RO < RX, RO < RW < RWX */
                   ORCH_ACCESS_NONE,
                   ORCH_ACCESS_RO,
                   ORCH_ACCESS_RX,
                   ORCH_ACCESS_RW,
                   ORCH_ACCESS_RWX,
};

struct orch_fs_rule {
    char *path; /* as written: absolute, or starting with ${workspace} ${home} ${tmp}; for `anywhere` just
                   NAME */
    char *real; /* where the symlinks in a host path led when it was loaded from files; NULL = nowhere else */
    bool anywhere; /* written as ${workspace}/<double star>/NAME: every NAME at any depth (also the top) of
                      the workspace */
    enum orch_access access;
    bool required;      /* default true: outside the workspace a missing path is an error */
    bool scratch;       /* private, fresh per attempt, in no layer */
    bool quiet;         /* recorded, but counts neither for strict nor for max_denials */
    char *origin;       /* "base#/filesystem/0": document and JSON pointer, used as `rule` of denials */
    unsigned line, col; /* where written, for diagnostics of the compiler */
};

struct orch_tool {
    char *name;            /* as found on PATH inside */
    char *path;            /* absolute host path, or NULL: resolve the name */
    struct orch_strv with; /* further files and directories of its closure, absolute */
    bool optional;         /* from a built-in: a missing one is dropped, not an error */
    char *origin;
    unsigned line, col; /* where written, for diagnostics of the resolver */
};

/* The operators of a document; its subset_of is MASKED_EQ with value 0. LT and the rest compare unsigned. */
enum orch_arg_op {
    ORCH_OP_EQ,
    ORCH_OP_NE,
    ORCH_OP_MASKED_EQ,
    ORCH_OP_IN,
    ORCH_OP_LT,
    ORCH_OP_LE,
    ORCH_OP_GT,
    ORCH_OP_GE,
};

#define ORCH_ARG_SET_MAX 32

struct orch_arg_cond {
    unsigned index; /* 0-5 */
    enum orch_arg_op op;
    uint64_t value,
        mask; /* mask: MASKED_EQ only; 32-bit arguments already cut to 32 bits by the width table */
    uint64_t set[ORCH_ARG_SET_MAX]; /* IN only: ascending, no value twice */
    size_t n_set;
};

/* LOG: allowed as by ALLOW, and each such call is on record. */
enum orch_rule_action { ORCH_RULE_ALLOW, ORCH_RULE_ERRNO, ORCH_RULE_KILL, ORCH_RULE_LOG };

struct orch_syscall_rule {
    int *nrs; /* system call numbers, x86_64 */
    size_t n_nrs;
    enum orch_rule_action action;
    int errnum; /* ERRNO only: 1-4095 */
    struct orch_arg_cond args[6];
    size_t n_args;
    char *origin;
    unsigned line, col; /* where written, for diagnostics of the compiler */
};

enum orch_net_mode { ORCH_NET_NONE, ORCH_NET_LOOPBACK };
enum orch_audit_level { ORCH_AUDIT_WRITES, ORCH_AUDIT_OPENS, ORCH_AUDIT_PATHS };
/* Whether execs are recorded with their arguments. DEFAULT records, and a child may switch it off; where a
 * profile says ON, it may not. */
enum orch_audit_argv { ORCH_AUDIT_ARGV_DEFAULT, ORCH_AUDIT_ARGV_OFF, ORCH_AUDIT_ARGV_ON };
enum orch_tier { ORCH_TIER_NESTED, ORCH_TIER_FULL };

#define ORCH_CREATE_FILE 1u
#define ORCH_CREATE_DIRECTORY 2u
#define ORCH_CREATE_SYMLINK 4u

struct orch_limits { /* 0 = no limit given; sizes in bytes, times in milliseconds */
    uint64_t memory, pids, cpu_ms, wall_ms, file_size, open_files, workspace, workspace_files, output;
    bool scope_process; /* memory and pids held per process (rlimits), not for the tree */
};

struct orch_env_pair {
    char *name, *value;
};

/* Where a key of the effective profile is written. */
struct orch_key_place {
    char *key; /* "tools", "limits.memory", "env.set/HOME", "syscalls.allow/@agent-base"; a rule's origin */
    char *file, *pointer;
    unsigned line, col;
};

struct orch_profile {
    unsigned holders; /* beside the first one: orch_profile_hold */
    char *name;
    char *file;               /* path as given, or the built-in's name */
    char *digest;             /* SHA-256 over the documents it is made of, root parent first, as loaded */
    struct orch_strv sources; /* the exact texts, root parent first: what state keeps as inputs */
    enum orch_tier requires;
    bool tools_all; /* "tools": "*" */
    struct orch_tool *tools;
    size_t n_tools;
    struct orch_fs_rule *fs;
    size_t n_fs;
    uint64_t tmp_size, tmp_files; /* defaults 256 MiB, 65536 */
    int sc_default_errno;         /* default EPERM */
    struct orch_strv sc_allow;    /* "@group" and syscall names, checked to exist */
    struct orch_syscall_rule *sc_rules;
    size_t n_sc_rules;
    enum orch_net_mode network;
    struct orch_limits limits;
    struct orch_strv env_pass;
    struct orch_env_pair *env_set;
    size_t n_env_set;
    enum orch_audit_level audit_level; /* default OPENS */
    enum orch_audit_argv audit_argv;
    unsigned create;               /* ORCH_CREATE_* bits */
    struct orch_key_place *places; /* private: orch_profile_place */
    size_t n_places;
};

/*
 * Loads by name: a built-in ("base", "plan", "implement", "verify", "gate"), or a path that contains a slash
 * (relative to base_dir, which is the directory of the naming document). Composes `extends` (built-in, or
 * "./..." relative to the naming profile; depth <= 8, cycles shown). All errors go to d; returns 0 or
 * -EINVAL.
 */
int orch_profile_load(const char *ref, const char *base_dir, struct orch_profile **ret, struct orch_diags *d);
/* Recreates one from its kept sources (root parent first), for resume. */
int orch_profile_from_sources(const struct orch_strv *sources, const char *name, struct orch_profile **ret,
                              struct orch_diags *d);
/* One more owner of an immutable profile: the last orch_profile_free frees it. Returns p. */
struct orch_profile *orch_profile_hold(struct orch_profile *p);
void orch_profile_free(struct orch_profile *p);
void orch_profile_freep(struct orch_profile **p);

/* Where the effective value of the key comes from; NULL if no document gives it, so that it is a default. */
const struct orch_key_place *orch_profile_place(const struct orch_profile *p, const char *key);

/* "FILE#POINTER" with the document that gives the key, or "sandbox#POINTER". Caller frees. */
char *orch_profile_rule(const struct orch_profile *p, const char *key, const char *pointer);

/* Names of the built-ins, NULL-terminated, and the JSON text of one (NULL if there is none of that name). */
extern const char *const orch_builtin_names[];
const char *orch_builtin_text(const char *name, size_t *ret_len);

/* "512MiB", "1GB", "100B", "0B" -> bytes; "20m", "10s", "250ms", "2h" -> milliseconds. -EINVAL, -ERANGE. */
int orch_parse_size(const char *s, uint64_t *ret);
int orch_parse_time(const char *s, uint64_t *ret_ms);
/* The same as a regular expression, for the schema. */
void orch_unit_pattern(bool time, struct orch_buf *out);
const char *orch_access_name(enum orch_access a); /* "none" "ro" "rx" "rw" "rwx" */
#define ORCH_MAY_READ 1u
#define ORCH_MAY_WRITE 2u
#define ORCH_MAY_EXECUTE 4u
unsigned orch_access_bits(enum orch_access a); /* of ORCH_MAY_ */

#endif
