#include "worker/policy/policies.h"

const struct policy *const policies[] = {
#define POLICY(id) &id##_policy,
#include "worker/policy/policies.def"
#undef POLICY
	NULL
};
