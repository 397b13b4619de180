#include "base/chain.h"
