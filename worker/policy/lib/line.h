/* line — what may stand in a header line that a policy writes. */
#ifndef POLICY_LIB_LINE_H
#define POLICY_LIB_LINE_H

#include "conf/field.h"

enum line_side { LINE_REQUEST, LINE_RESPONSE };

/* A token (RFC 9110 §5.6.2). */
bool line_is_token(struct str);

/* No CR, LF, NUL or other control character but the tab. */
bool line_is_value(struct str);

/* Checks a header name from the configuration: a token that is neither hop-by-hop nor
 * framing. `host`: Host may be named. Says what is wrong; -1. */
int line_check_name(struct conf_load *, struct str name, struct where, enum line_side,
		    bool host);

/* Checks a literal from the configuration; says what is wrong; -1. */
int line_check_value(struct conf_load *, struct str value, struct where);

#endif
