/*
 * replay_int.h - reading the members of one journal record; private to replay*.c.
 *
 * `bad` names the first member that is missing or of the wrong type. It is looked at once, after all members
 * were read, so that the reading itself needs no error handling; what a wrong member gives is empty.
 */
#ifndef ORCH_SUPERVISOR_REPLAY_INT_H
#define ORCH_SUPERVISOR_REPLAY_INT_H

#include "supervisor/journal.h"

struct orch_rec {
    const cJSON *node; /* borrowed */
    const char *bad;
};

const char *orch_rec_text(struct orch_rec *r, const char *key); /* borrowed; "" for null */
/* Of what is made printable before it is recorded: anything else was put there by somebody else. */
const char *orch_rec_clean(struct orch_rec *r, const char *key);
uint64_t orch_rec_number(struct orch_rec *r, const char *key);
int orch_rec_small(struct orch_rec *r, const char *key);
bool orch_rec_truth(struct orch_rec *r, const char *key);
const cJSON *orch_rec_list(struct orch_rec *r, const char *key);
void orch_rec_strings(struct orch_rec *r, const char *key,
                      struct orch_strv *ret); /* appends; printable ones */
/* 64 lower-case hex digits, or nothing where that is allowed. */
void orch_rec_digest(struct orch_rec *r, const char *key, bool may_be_empty, char ret[ORCH_HEX_SIZE]);
/* Everything of a `verdict` or `pending` record but phase and attempt. */
void orch_rec_verdict(struct orch_verdict_record *v, struct orch_rec *r);

#endif
