/*
 * within.h - does one effective profile permit no more than another? (T-POL-10) Used for a child against its
 * parent and for every profile of a workflow against its ceiling. Pure: nothing is read here.
 *
 * Each key has an order of its own, and the check decides it for every value, not for samples:
 *
 *   filesystem      At every path, the bits read, write, execute that the profile's rules give there are a
 *                   subset of the outer one's. Kept is more than scratch, quiet is more than counted where a
 *                   denial is possible. Every place that the workspace and every name that the phase could
 *                   have are considered, so ${workspace}/x and /srv/x may be the same path. A path is taken
 *                   for a directory; of a profile loaded from files, a path of the host stands for where
 *                   its symlinks lead. `required` permits nothing and has no order.
 *   tools           A subset by name, each with the same path and no further `with`; "*" is above every list.
 *   create          A subset, where a rule gives write at all.
 *   syscalls        For every number and all registers: what is permitted here is permitted there, and what
 *                   is killed there is killed here. kill < errno < permitted; which errno has no order.
 *   network.mode    none < loopback.
 *   limits, tmp     The smaller number is the narrower; no limit is above every limit. scope: tree < process.
 *   env.pass        A subset. env.set has no order: its values are the document's own text, and a program can
 *                   set its own environment anyway; names that are not for a profile to give are refused when
 *                   it is read.
 *   audit.level     paths < opens < writes: what watches less permits more.
 *   audit.argv      false is above a true that the outer one says. A default is no demand: whoever says
 *                   nothing leaves the choice to the other.
 *   requires        full < nested.
 *
 * What cannot be decided within fixed bounds (thousands of conditions on one call) is reported as wider.
 */
#ifndef ORCH_POLICY_WITHIN_H
#define ORCH_POLICY_WITHIN_H

#include "policy/profile.h"

enum orch_bound {
    ORCH_BOUND_PARENT,  /* the message asks for "widen" */
    ORCH_BOUND_CEILING, /* nothing lifts it */
};

/*
 * Reports every key by which `inner` permits more than `outer`, at the key's place in the document where it
 * was written, with the place of the outer one's key in the message.
 */
void orch_profile_within(const struct orch_profile *outer, const struct orch_profile *inner,
                         enum orch_bound bound, struct orch_diags *d);

#endif
