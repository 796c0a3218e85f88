/*
 * schema.h - JSON Schemas (2020-12) of the two documents, for editors, made of the tables that the readers
 * use. Pure.
 *
 * A schema says which keys there are, their types, ranges and values. What it cannot say (that a path is in
 * normal form, that a name exists, what keys mean together) the readers still refuse: a document that fits
 * the schema may be refused, one that is read fits it.
 */
#ifndef ORCH_POLICY_SCHEMA_H
#define ORCH_POLICY_SCHEMA_H

#include "common/buf.h"

enum orch_schema { ORCH_SCHEMA_PROFILE, ORCH_SCHEMA_WORKFLOW, ORCH_SCHEMA_TEST };

/* Appends the schema as indented JSON text with a newline at the end. */
void orch_schema_write(enum orch_schema which, struct orch_buf *out);

/*
 * Appends the dotted name of every key, in the order of the tables: "limits.memory", "phases[].gates[].path".
 * Keys of a gate stand under "gates[].TYPE", once.
 */
void orch_schema_keys(enum orch_schema which, struct orch_strv *ret);

#endif
