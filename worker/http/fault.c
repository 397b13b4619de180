#include "worker/http/fault.h"

enum { NEVER = FAULT_RETRY_NEVER, UNSENT = FAULT_RETRY_UNSENT, SAFE = FAULT_RETRY_SAFE };

#define TEXT(lit) { lit, sizeof(lit) - 1 }

const struct fault_info fault_info[FAULT_COUNT] = {
#define FAULT(id, status, retry, token, reason, text) \
	[FAULT_##id] = { status, retry, TEXT(token), TEXT(reason), TEXT(text) },
#include "worker/http/faults.def"
#undef FAULT
};
