/*
 * argv.h - the arguments of a program for the record: bounded, and with what looks like a secret masked.
 *
 * An agent's arguments are its own bytes and may be anything, so nothing here trusts a form: what may be the
 * rest of a secret is masked with it, and rather too much than too little. It is no promise: a secret that
 * looks like any other word stays. Pure, linear in the length.
 */
#ifndef ORCH_SUPERVISOR_ARGV_H
#define ORCH_SUPERVISOR_ARGV_H

#include "common/buf.h"

#define ORCH_ARGV_ARG_BYTES 256  /* of one argument on record, */
#define ORCH_ARGV_ALL_BYTES 2048 /* and of all */

/*
 * Appends n bytes of s, with "[masked]" in place of what is one of: a token of a known form (ghp_,
 * github_pat_, glpat-, sk-, xoxb-, AKIA, eyJ...), the value of a name that ends in token, secret, password
 * ... or of such an option, a header of authorization, the password in a URL, a PEM block.
 */
void orch_secrets_mask(const char *s, size_t n, struct orch_buf *out);

/*
 * argv (NULL-terminated) into ret: masked, also where the secret is the argument behind the option, then cut
 * to the bounds above. *ret_more becomes true if something was cut or left out.
 */
void orch_argv_mask(const char *const *argv, struct orch_strv *ret, bool *ret_more);

#endif
