/*
 * json.h - strict JSON documents with positions.
 *
 * cJSON is lenient (duplicate keys, control bytes, "a\u0000b", 0123, BOM ...), so nothing reaches it that the
 * pre-scan here has not accepted: RFC 8259 grammar, valid UTF-8, no BOM, at most 1 MiB, depth at most 32,
 * at most 65536 values,
 * no duplicate keys (compared decoded), no \u0000, no lone surrogates, no trailing bytes, integers within
 * 2^53-1, numbers finite. Every node knows its line and column (1-based, column in bytes) and its JSON
 * pointer (RFC 6901).
 */
#ifndef ORCH_COMMON_JSON_H
#define ORCH_COMMON_JSON_H

#include <cjson/cJSON.h>
#include "common/buf.h"
#include "common/err.h"

#define ORCH_JSON_MAX_BYTES (1u << 20)
#define ORCH_JSON_MAX_DEPTH 32
#define ORCH_JSON_MAX_VALUES 65536 /* of all kinds, those in lists and objects included */

struct orch_json;

/*
 * Parses len bytes of text (copied). `file` is the name used in diagnostics. On failure adds at least one
 * diagnostic and returns -EINVAL (-E2BIG for size, depth and number). On success *ret is to be freed with
 * orch_json_free.
 */
int orch_json_parse(const char *file, const char *text, size_t len, struct orch_json **ret,
                    struct orch_diags *d);
/* Reads and parses a regular file (O_NOFOLLOW not applied: the operator's own path). -errno + diagnostic on
 * failure. */
int orch_json_load(const char *path, struct orch_json **ret, struct orch_diags *d);
void orch_json_free(struct orch_json *doc);
void orch_json_freep(struct orch_json **doc);

const cJSON *orch_json_root(const struct orch_json *doc);
const char *orch_json_file(const struct orch_json *doc);
const char *orch_json_text(const struct orch_json *doc, size_t *ret_len); /* the exact bytes */

/* Position and pointer of a node of this document. The pointer is newly allocated. */
void orch_json_pos(const struct orch_json *doc, const cJSON *node, unsigned *ret_line, unsigned *ret_col);
char *orch_json_pointer(const struct orch_json *doc, const cJSON *node);
/* Adds a diagnostic at the node. */
void orch_json_error(const struct orch_json *doc, const cJSON *node, struct orch_diags *d, const char *fmt,
                     ...) ORCH_PRINTF(4, 5);

/*
 * Reports every key of the object `node` that is not in the NULL-terminated list `keys`, with the near name
 * if there is one ("did you mean 'tools'?") and, where a key is not ASCII, its code points. Returns the
 * number of unknown keys; a node that is not an object is reported too and counts as 1.
 */
int orch_json_check_keys(const struct orch_json *doc, const cJSON *node, const char *const *keys,
                         struct orch_diags *d);
/* The name in the NULL-terminated list nearest to s (edit distance at most 2 and less than half its length),
 * or NULL. */
const char *orch_near_name(const char *s, const char *const *names);

#endif
