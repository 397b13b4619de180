#include "worker/http/msg.h"

#define TEXT(lit) { lit, sizeof(lit) - 1 }

const struct str method_name[METHOD_COUNT] = {
	[METHOD_OTHER] = TEXT(""),
	[METHOD_GET] = TEXT("GET"),
	[METHOD_HEAD] = TEXT("HEAD"),
	[METHOD_POST] = TEXT("POST"),
	[METHOD_PUT] = TEXT("PUT"),
	[METHOD_DELETE] = TEXT("DELETE"),
	[METHOD_PATCH] = TEXT("PATCH"),
	[METHOD_OPTIONS] = TEXT("OPTIONS"),
	[METHOD_TRACE] = TEXT("TRACE"),
	[METHOD_CONNECT] = TEXT("CONNECT"),
};

enum method
method_of(struct str name)
{
	if (name.len == 0)
		return METHOD_OTHER;
	for (int m = METHOD_GET; m < METHOD_COUNT; m++)
		if (str_eq(method_name[m], name))
			return (enum method)m;
	return METHOD_OTHER;
}
