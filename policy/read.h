/*
 * read.h - strict, table-driven reading of document objects. Private to policy/.
 *
 * A table of fields says which keys an object may have, of which type and range, and where the value goes.
 * Everything wrong is added to the diagnostics with its place; reading goes on, so that all errors are
 * reported at once. A value that was wrong leaves its target as it was. Callers decide by the growth of the
 * diagnostics whether to go on.
 */
#ifndef ORCH_POLICY_READ_H
#define ORCH_POLICY_READ_H

#include "common/err.h"
#include "common/json.h"

#define ORCH_TIME_MAX_MS (366ull * 24 * 3600 * 1000) /* no sum of a few of these overflows anything */
#define ORCH_UINT_MAX_JSON 9007199254740991ull       /* 2^53-1: beyond it a JSON number is not exact */

struct orch_rd {
    const struct orch_json *doc;
    struct orch_diags *d;
};

enum orch_rd_kind {
    ORCH_RD_CALL,  /* call(rd, node, base) reads it */
    ORCH_RD_LATER, /* part of the design, refused as "not in this version" */
    ORCH_RD_TEXT,  /* char *: any string, owned */
    ORCH_RD_BOOL,  /* bool */
    ORCH_RD_UINT,  /* uint64_t within min..max */
    ORCH_RD_SIZE,  /* uint64_t: "512MiB" within min..max */
    ORCH_RD_TIME,  /* uint64_t: "20m" within min..max, milliseconds */
    ORCH_RD_ENUM,  /* unsigned: index into names */
    ORCH_RD_GLOBS, /* struct orch_strv: patterns that orch_glob_check accepts */
    ORCH_RD_NONE,  /* known key, read elsewhere or of no meaning here ("$schema", "reason"): must be a string
                    */
};

/* What JSON may stand at a place, for the schema. Without a type: one of any_of. */
struct orch_rd_shape {
    const char *type;                          /* "string", "integer", "object", "array", "null" */
    const char *def;                           /* its name under $defs, where it may hold itself; else NULL */
    const char *pattern;                       /* string */
    const char *const *names;                  /* string: all there are */
    const struct orch_rd_field *fields;        /* object */
    const char *tag;                           /* object: the value of its key "type" */
    const struct orch_rd_shape *items;         /* array; object without fields: of every value */
    const struct orch_rd_shape *const *any_of; /* NULL-terminated */
    uint64_t min, max;                         /* array: least number of elements; integer: range */
};

extern const struct orch_rd_shape orch_shape_string;  /* any */
extern const struct orch_rd_shape orch_shape_strings; /* a list of them */
extern const struct orch_rd_shape orch_shape_value;   /* a number, or a string for one */
extern const struct orch_rd_shape orch_shape_command; /* a program and its arguments */
#define ORCH_NAME_PATTERN "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
#define ORCH_NAME_PATTERN_PLAIN "^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$"

struct orch_rd_field {
    const char *key;
    enum orch_rd_kind kind;
    size_t off;
    uint64_t min, max;
    const char *const *names; /* ENUM: values; LATER: unused */
    const char *const *later; /* ENUM: values of the design that this version refuses */
    void (*call)(const struct orch_rd *rd, const cJSON *node, void *base);
    bool required;
    bool needed;                       /* in the schema required, too, but missed with words of its own */
    const struct orch_rd_shape *shape; /* CALL: what call reads */
};

#define ORCH_RD_MAX_FIELDS 32
#define ORCH_RD_MAX_ITEMS 1024 /* of one list: what is compared with each other stays cheap */
#define ORCH_RD_MAX_ERRORS                                                                                   \
    1000 /* of all documents; behind it nothing more is read, and one of them says so */

/* Reads the object `node` by the table, ended by a field without key. False if it is not an object. */
bool orch_rd_object(const struct orch_rd *rd, const cJSON *node, const struct orch_rd_field *fields,
                    void *base);

/* "schema": 1 is there. False (with a diagnostic) otherwise: then the other keys mean nothing and are not
 * looked at. */
bool orch_rd_schema(const struct orch_rd *rd, const cJSON *root);

/* The member of an object, or NULL. Case-sensitive. */
const cJSON *orch_rd_get(const cJSON *object, const char *key);

/* The string of the node, or NULL with a diagnostic. Borrowed. */
const char *orch_rd_string(const struct orch_rd *rd, const cJSON *node);
/* True if the node is an array (a map: an object) of at most ORCH_RD_MAX_ITEMS; a diagnostic otherwise. */
bool orch_rd_array(const struct orch_rd *rd, const cJSON *node);
bool orch_rd_map(const struct orch_rd *rd, const cJSON *node);
bool orch_rd_bool(const struct orch_rd *rd, const cJSON *node, bool *ret);
bool orch_rd_uint(const struct orch_rd *rd, const cJSON *node, uint64_t min, uint64_t max, uint64_t *ret);
/* Index of the string in names; near names and `later` (may be NULL) as above. */
bool orch_rd_enum(const struct orch_rd *rd, const cJSON *node, const char *const *names,
                  const char *const *later, unsigned *ret);
/* "KEY is not in this version". */
void orch_rd_later(const struct orch_rd *rd, const cJSON *node, const char *what);

/* Name of a profile, phase or gate: [A-Za-z0-9][A-Za-z0-9_-]*, at most 64; `dots` also permits '.'. */
bool orch_rd_name(const struct orch_rd *rd, const cJSON *node, bool dots, char **ret);
/* A name that the environment may carry in: syntax, and not one that the loader or orch-sandbox itself reads.
 */
bool orch_rd_env_name(const struct orch_rd *rd, const cJSON *node, const char *name);

#endif
