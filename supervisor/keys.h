/*
 * keys.h - the key that seals the runs of a state directory: STATE/keys/signing.key (0600) and signing.pub,
 * made by the verb `keygen`. The state directory is in no view, so no agent ever sees the key. With it every
 * seal.json is signed; without it none is.
 *
 * Each file is one line: a word that says what it is, a space, the key in base64.
 */
#ifndef ORCH_SUPERVISOR_KEYS_H
#define ORCH_SUPERVISOR_KEYS_H

#include "common/err.h"
#include "common/sign.h"

/* A new pair; never in place of one that is there (exit 9). *ret_path: of the public key, newly allocated. */
int orch_keys_make(const char *state, char **ret_path, char ret_public[ORCH_KEY_SIZE], struct orch_err *err);
/* 1 and the secret key, 0 if there is none, -errno (exit 10) if there is one that must not be used: readable
 * by others, not a plain file of ours, not a key. */
int orch_keys_secret(const char *state, char ret[ORCH_KEY_SIZE], struct orch_err *err);
/* Whether what is there could sign, before anything is done that would be signed. */
int orch_keys_check(const char *state, struct orch_err *err);
/* Reads a public key file, as `verify --key` gets it. Exit 2. */
int orch_keys_public(const char *path, char ret[ORCH_KEY_SIZE], struct orch_err *err);

/* What a signature of a seal is over. */
char *orch_keys_seal_text(const char *run, const char *journal_head, const char *audit_head);

#endif
