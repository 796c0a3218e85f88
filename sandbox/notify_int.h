/*
 * notify_int.h - one judgement under way; private to notify*.c.
 */
#ifndef ORCH_SANDBOX_NOTIFY_INT_H
#define ORCH_SANDBOX_NOTIFY_INT_H

#include "sandbox/calls.h"
#include "sandbox/kernel.h"
#include "sandbox/nested.h"
#include "sandbox/sandbox_int.h"
#include "sandbox/task.h"

struct judged {
    struct orch_notify *n;
    const struct seccomp_notif *req;
    const struct orch_call *call;
    int errnum;       /* > 0: refuse with it; 0: continue */
    bool denial;      /* put it on record */
    bool kills;       /* and end the process */
    pid_t executes;   /* the process that goes on to execute a program; 0 = none */
    const char *log;  /* rule by which the call is put on record also when it goes on */
    bool host_lookup; /* a denial only if the path exists on the host, looked up after the reply */
    struct orch_denial d;
    struct orch_buf text, text2; /* as given by the task */
    struct orch_path path, path2;
    char address[128];
    uint64_t args[6];        /* for the record */
    struct orch_stead stead; /* tier nested: done in the caller's place */
};

static inline uint64_t orch_judge_arg(const struct judged *j, int index)
{
    return j->req->data.args[index];
}

/* Refuses the call, and puts it on record. */
void orch_judge_deny(struct judged *j, enum orch_denial_class class, int errnum, const char *rule);
/* The same for a task whose memory could not be read, with -r. */
void orch_judge_unreadable(struct judged *j, enum orch_denial_class class, int r);
/* false: judged already (unresolvable), or the kernel will fail by itself. dirfd_arg: ORCH_NOARG = none. */
bool orch_judge_resolve(struct judged *j, int dirfd_arg, const char *text, bool nofollow,
                        struct orch_path *ret);
/* True if refused. Of a path that is to be there only a hidden or absent one matters, the rest is the
 * kernel's ENOENT; what is to be made must be permitted, and of a kind ('f' 'd' 'l' 's' ...) that may be
 * made. */
bool orch_judge_existing(struct judged *j, const struct orch_path *p, enum orch_request what);
bool orch_judge_new(struct judged *j, const struct orch_path *p, char kind);
/* notify_record.c: who called, and with what, goes into the denial. */
void orch_judge_who(struct judged *j, const struct orch_who_info *who);
/* A program that may run: tells the hook, who it is and with which arguments. */
void orch_judge_report_exec(struct judged *j);
/* connect, bind and sendto; notify_net.c. */
void orch_judge_address(struct judged *j);

#endif
