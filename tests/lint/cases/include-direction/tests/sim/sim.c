#include "sim.h"
#include "common/base/text.h"
