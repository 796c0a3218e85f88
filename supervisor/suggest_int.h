/*
 * suggest_int.h - shared by suggest*.c: what was refused, an edit of a profile, and the trial of one with the
 * other.
 */
#ifndef ORCH_SUPERVISOR_SUGGEST_INT_H
#define ORCH_SUPERVISOR_SUGGEST_INT_H

#include <sys/socket.h>

#include "policy/explain.h"
#include "supervisor/suggest.h"

/* ---- what was refused ---- */

struct orch_want { /* of one path */
    char *path;    /* as the sandbox resolves it; owned */
    enum orch_request what;
    char kind; /* of a new entry: as orch_plan_may_be() takes it; 0 = not on record, or no new entry */
};

enum orch_refused_kind { ORCH_WANTS_PATHS, ORCH_WANTS_ADDRESS, ORCH_WANTS_CALL, ORCH_WANTS_MORE };

struct orch_refused {
    enum orch_refused_kind kind;
    struct orch_want want[2];
    size_t n_wants;
    struct sockaddr_storage address;
    bool binds;
    int nr;
    const char *name; /* of the call, borrowed from the row */
    uint64_t args[6];
    bool has_args;  /* what they were is known, as far as it decided: */
    unsigned known; /* a bit for each that is on record */
    size_t limit;   /* where it is in struct orch_profile, and what it was */
    uint64_t limit_was;
};

/* False: nothing that a profile speaks of; *ret_why says so (static, NULL = there is nothing to say). */
bool orch_refused_read(const struct row *row, struct orch_refused *ret, const char **ret_why);
void orch_refused_fini(struct orch_refused *r);

/* ---- an edit ---- */

enum orch_edit_key {
    ORCH_EDIT_FILESYSTEM,
    ORCH_EDIT_TOOLS,
    ORCH_EDIT_ALLOW,
    ORCH_EDIT_RULES,
    ORCH_EDIT_CREATE,
    ORCH_EDIT_NETWORK,
    ORCH_EDIT_LIMITS,
    ORCH_EDIT_TMP,
    ORCH_EDIT_KEYS
};

struct orch_edit {
    enum orch_edit_key key;
    struct orch_strv elems; /* JSON */
    const char *create;     /* JSON: also this kind of entry; NULL = no */
    const char *replaces;   /* a rule of the document for the same path or call: that goes; NULL = none */
    const char *shared;     /* the call, where the rule names others too: only that goes; NULL = no */
};

/* ---- a trial ---- */

struct orch_base { /* one profile of the run */
    struct orch_kept_at at;
    struct orch_profile *profile;     /* borrowed from the workflow */
    struct orch_profile *parent;      /* owned; NULL = none */
    struct orch_plan *plan;           /* as the run had it */
    struct orch_json *own;            /* the document that an author would edit; NULL = it is a built-in */
    char *file;                       /* its name */
    bool widens;                      /* it has "widen" */
    size_t over_parent, over_ceiling; /* how many keys are wider already */
    const char *why;                  /* it cannot be tried: static */
};

struct orch_trial {
    struct orch_suggester *s;
    const struct orch_base *base;
    struct orch_refused *refused;
    struct orch_suggested *ret;
};

/* The profile of a phase or gate of the run, read once. */
const struct orch_base *orch_suggest_base(struct orch_suggester *s, const char *phase, const char *gate);
/* A new answer under a key of its own, or the one that is there already: then *ret_known. */
struct orch_suggested *orch_suggest_slot(struct orch_suggester *s, const struct orch_buf *key,
                                         bool *ret_known);
const struct orch_workflow *orch_suggest_workflow(const struct orch_suggester *s);

/* True: it would be allowed; t->ret is filled. False: t->ret->why says why not, if nothing said so before. */
bool orch_try_edit(struct orch_trial *t, const struct orch_edit *e);
/* The rule is one of the document that an author would edit. */
bool orch_is_own(const struct orch_base *b, const char *rule);
/* The same for one element, which is taken. */
bool orch_try_one(struct orch_trial *t, enum orch_edit_key key, char *elem);
/* True if the plan allows all of it. */
bool orch_refused_permits(const struct orch_refused *r, const struct orch_plan *p);
/* The rule on calls that a record names, or NULL. */
const struct orch_syscall_rule *orch_refused_rule(const struct orch_profile *p, const char *origin);
/* The arguments that this rule asks for, where none are on record: the call had such. */
void orch_refused_assume(struct orch_refused *r, const struct orch_syscall_rule *rule);
/* Edits, smallest first, until one is proved. */
bool orch_suggest_edits(struct orch_trial *t, const struct row *row);

#endif
