/* policies — the tables of all policies, by the rows of policies.def. */
#ifndef POLICY_POLICIES_H
#define POLICY_POLICIES_H

#include "worker/exchange/policy.h"

#define POLICY(id) extern const struct policy id##_policy;
#include "worker/policy/policies.def"
#undef POLICY

#endif
