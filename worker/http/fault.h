/* fault — the vocabulary of failure; its rows are in faults.def. */
#ifndef HTTP_FAULT_H
#define HTTP_FAULT_H

#include <stdint.h>

#include "base/str.h"

enum fault {
	FAULT_NONE,
#define FAULT(id, status, retry, token, reason, text) FAULT_##id,
#include "worker/http/faults.def"
#undef FAULT
	FAULT_COUNT
};

enum fault_retry { FAULT_RETRY_NEVER, FAULT_RETRY_UNSENT, FAULT_RETRY_SAFE };

struct fault_info {
	uint16_t status;                /* 0: no answer */
	uint8_t retry;                  /* enum fault_retry */
	struct str token;               /* of Proxy-Status */
	struct str reason, text;
};

/* Row FAULT_NONE is empty. */
extern const struct fault_info fault_info[FAULT_COUNT];

#endif
