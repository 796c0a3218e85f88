/*
 * args.h - the arguments of a system call by name, as records show them: flags, modes, families, requests.
 *
 * Recorded are arguments that the call has and that are no pointers, cut to the bits that the kernel looks at
 * (sysgroups.h). What a caller leaves in the other registers is chance, or chosen to make equal calls look
 * different. Names of values are those of the documents (consts_list.h).
 */
#ifndef ORCH_POLICY_ARGS_H
#define ORCH_POLICY_ARGS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/json.h"
#include "common/jsonw.h"

/* Names found so far; made by need. Not shared between threads. */
struct orch_args;
struct orch_args *orch_args_new(void);
void orch_args_free(struct orch_args *a); /* NULL fine */

/*
 * Which arguments of call nr are recorded, a bit for each: those with a row in the table; without a row, and
 * if `all`, each that is not of pointer size. ret has their values, and 0 elsewhere; to pick from ret again
 * gives the same.
 */
unsigned orch_args_pick(int nr, bool all, const uint64_t regs[6], uint64_t ret[6]);

/*
 * Appends the member "args", an object with a member for each picked argument: a list of flags, a name, a
 * mode ("0644"), a number, or "0x..." for what has no name; without a row "a0" to "a5". family: of an address
 * that the call names (AF_INET), 0 = none. Nothing is appended if there is nothing to say.
 */
void orch_args_write(struct orch_args *a, struct orch_jw *w, int nr, bool all, const uint64_t regs[6],
                     int family);

/* The inverse: registers from the member "args" of a record (may be NULL); 0 where it tells nothing. Returns
 * a bit for each that it tells. */
unsigned orch_args_read(int nr, const cJSON *args, uint64_t ret[6]);

/* The arguments with a name, for tests: false behind the last; ret_name NULL: none here. */
bool orch_args_row(size_t i, int *ret_nr, unsigned *ret_index, const char **ret_name, const char **ret_names);

#endif
