/*
 * explain.h - what a compiled plan answers to one act, and why: the verdict of `policy explain` and the model
 * half of `policy test`.
 *
 * Nothing is decided here: paths go to orch_plan_decide, addresses to orch_plan_decide_inet, registers to the
 * interpreter on the plan's own filter and then to orch_syscalls_answer, as the notification loop does. What
 * this adds is the path that the sandbox would resolve an argument to, which is read off the host's tree.
 */
#ifndef ORCH_POLICY_EXPLAIN_H
#define ORCH_POLICY_EXPLAIN_H

#include <sys/socket.h>
#include "policy/plan.h"

enum orch_act {
    ORCH_ACT_LOOK,
    ORCH_ACT_READ,
    ORCH_ACT_WRITE,     /* open for writing; made if it is not there */
    ORCH_ACT_CREATE,    /* a file */
    ORCH_ACT_DIRECTORY, /* make a directory */
    ORCH_ACT_SYMLINK,   /* make a symlink */
    ORCH_ACT_DELETE,
    ORCH_ACT_EXEC,
    ORCH_ACT_CONNECT,
};

enum orch_says {
    ORCH_SAYS_PERMITTED,
    ORCH_SAYS_REFUSED,  /* with errnum */
    ORCH_SAYS_HIDDEN,   /* a none rule: ENOENT */
    ORCH_SAYS_ABSENT,   /* not in the view: ENOENT */
    ORCH_SAYS_FALLBACK, /* ENOSYS, counted, no denial */
    ORCH_SAYS_FAKED,    /* 0, and nothing happens */
    ORCH_SAYS_KILLED,
};

struct orch_explained {
    enum orch_says says;
    int errnum;       /* what the caller gets; 0 where it is permitted or faked */
    const char *rule; /* origin; borrowed from the plan or static, never NULL */
    const char *log;  /* rule by which the call goes on record although it is permitted, or NULL */
    bool quiet;
    bool by_filter; /* a call that the filter lets through without asking */
    bool watched;   /* a call whose path or address is judged as well */
    int nr;         /* the call that was refused, or that was asked about; -1 = none */
    char *path;     /* as the sandbox resolves it; NULL for calls and internet addresses. Owned */
    bool there;     /* something is at that path, or it cannot be told */
};

const char *orch_says_name(enum orch_says s); /* "permitted" "refused" ... */
/* NULL-terminated: "look" "read" "write" "create" "mkdir" "symlink" "delete" "exec" "connect". */
extern const char *const orch_act_names[];

/*
 * path: as the sandbox sees it, absolute, or relative to the workspace. For exec a name without a slash is
 * looked for on the agent's PATH; for connect it is the path of a socket.
 */
void orch_explain_path(const struct orch_plan *p, enum orch_act act, const char *path,
                       struct orch_explained *ret);
void orch_explain_inet(const struct orch_plan *p, const struct sockaddr_storage *a,
                       struct orch_explained *ret);
void orch_explain_call(const struct orch_plan *p, int nr, const uint64_t args[6], struct orch_explained *ret);
void orch_explained_fini(struct orch_explained *e);

/* Same answer: verdict and errno; the rule may be another. */
bool orch_explained_same(const struct orch_explained *a, const struct orch_explained *b);

/* ---- registers ---- */

struct orch_alternative {
    char *text; /* "argument 1 is TIOCSTI"; NULL = every other value */
    int index;  /* the argument, if the text is of one value of one argument; else -1 */
    uint64_t value;
    struct orch_explained answer;
};

struct orch_alternatives {
    struct orch_alternative *v; /* the last one is the one without text */
    size_t n;
    unsigned depends; /* bit i: the answer depends on argument i */
};

/* What the answer depends on when only the first n_given arguments are known. ret->depends 0: on nothing. */
void orch_explain_alternatives(const struct orch_plan *p, int nr, const uint64_t args[6], unsigned n_given,
                               struct orch_alternatives *ret);
void orch_alternatives_fini(struct orch_alternatives *a);

/* Registers worth asking about where this condition stands; at most ORCH_COND_SAMPLES. The first fulfils it.
 */
#define ORCH_COND_SAMPLES (ORCH_ARG_SET_MAX + 3)
size_t orch_cond_samples(const struct orch_arg_cond *c, uint64_t ret[ORCH_COND_SAMPLES]);
/* "argument 1 is 0x5412" */
void orch_cond_text(const struct orch_arg_cond *c, struct orch_buf *out);

/* A number, 0x..., a named constant, or several of these joined by '|'; a leading '-' negates a number. */
int orch_explain_value(const char *s, uint64_t *ret);
/* Nearest name of a constant, NULL if there is none. */
const char *orch_explain_near(const char *s);
/* A system call by name or number: -1 if there is none. */
int orch_explain_number(const char *s);
/* "EPERM" -> 1; 0 if it is no errno's name. */
int orch_explain_errno(const char *s);
/* "192.0.2.1:80", "[::1]:80": 0; -EINVAL if it is no such address. */
int orch_explain_address(const char *s, struct sockaddr_storage *ret);

/* The line of a profile that would allow it, with the key it belongs to; newly allocated, NULL if no profile
 * can. */
char *orch_explain_advice(const struct orch_plan *p, enum orch_act act, const struct orch_explained *e);
char *orch_explain_advice_call(const struct orch_explained *e);

#endif
