/*
 * json_scan.h - the strict pre-scan behind json.c, private to common/. Accepts exactly the documents that
 * json.h describes, so that the lenient parser behind it never sees anything else, and records where every
 * value stands. Iterative; memory is bounded by ORCH_JSON_MAX_BYTES.
 */
#ifndef ORCH_COMMON_JSON_SCAN_H
#define ORCH_COMMON_JSON_SCAN_H

#include "common/buf.h"
#include "common/err.h"

/* One value. Nodes are in pre-order: a container before its members; node 0 is the root and its own parent.
 */
struct orch_json_scan_node {
    uint32_t line, col;         /* of the value, from 1 */
    uint32_t key_line, key_col; /* of the key; 0 if the value is no object member */
    uint32_t key_off, key_len;  /* decoded key in `keys`, NUL behind it */
    uint32_t parent, index;     /* index: place within the parent, from 0 */
    char type;                  /* { [ " 0 t f n */
};

struct orch_json_scan {
    struct orch_json_scan_node *v;
    size_t n, cap;
    struct orch_buf keys;
};

/*
 * Scans text (not NUL-terminated, at most ORCH_JSON_MAX_BYTES) into an empty *out. Returns 0, or adds
 * diagnostics and returns -EINVAL, or -E2BIG for the depth. *out is to be finished in any case.
 */
int orch_json_scan_run(const char *file, const char *text, size_t len, struct orch_json_scan *out,
                       struct orch_diags *d);
/* Newly allocated JSON pointer of a node. */
char *orch_json_scan_pointer(const struct orch_json_scan *scan, size_t node);
void orch_json_scan_fini(struct orch_json_scan *scan);

#endif
