/*
 * chain.h - append-only files of JSON lines, each with the SHA-256 of the line before it ("prev", 64 zeros in
 * the first).
 *
 * Both journal and audit log are chains. One writer. A chain file is opened 0600, O_APPEND, never truncated
 * except for a torn tail (bytes after the last newline), which a crash leaves and which is told apart from
 * tampering.
 */
#ifndef ORCH_SUPERVISOR_CHAIN_H
#define ORCH_SUPERVISOR_CHAIN_H

#include "common/buf.h"
#include "common/err.h"
#include "common/hash.h"
#include "common/json.h"
#include "common/jsonw.h"

struct orch_chain {
    int fd;
    uint64_t seq;             /* of the next record; the first record has seq 1 */
    char prev[ORCH_HEX_SIZE]; /* digest of the last line with its newline */
};

/* Creates (must not exist) or continues (verifies all first; -EBADMSG with exit 7 names the first bad record;
 * cuts a torn tail, *ret_torn says so). */
int orch_chain_create(int dirfd, const char *name, struct orch_chain *ret, struct orch_err *err);
int orch_chain_continue(int dirfd, const char *name, struct orch_chain *ret, bool *ret_torn,
                        struct orch_err *err);
void orch_chain_fini(struct orch_chain *c);

/*
 * A record: orch_chain_begin writes {"v":1,"seq":N,"time":"..." ; the caller adds its members with w;
 * orch_chain_commit adds "prev", closes and appends the line with one write (sync: fdatasync too).
 * A failed or short write is -errno with exit 10 and the chain is unusable afterwards.
 */
void orch_chain_begin(const struct orch_chain *c, struct orch_jw *w);
int orch_chain_commit(struct orch_chain *c, struct orch_jw *w, bool sync, struct orch_err *err);

/*
 * Reads a whole chain: fn is called for each verified record in order; non-zero from fn ends the walk with
 * that value. Flipped, dropped, reordered, duplicated, cut-off-in-the-middle records: -EBADMSG, exit 7, err
 * names "FILE: record N". A torn tail is no error: *ret_torn. fn's doc is only valid during the call.
 * ret_head (may be NULL): digest of the last line.
 */
int orch_chain_read(int dirfd, const char *name, int (*fn)(void *ctx, const struct orch_json *rec), void *ctx,
                    bool *ret_torn, char ret_head[ORCH_HEX_SIZE], struct orch_err *err);

#endif
