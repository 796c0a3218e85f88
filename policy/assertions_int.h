/* assertions_int.h - the shape of the test document, for its schema. Private to policy/. */
#ifndef ORCH_POLICY_ASSERTIONS_INT_H
#define ORCH_POLICY_ASSERTIONS_INT_H

#include "policy/read.h"

extern const struct orch_rd_shape orch_assertions_shape;

#endif
