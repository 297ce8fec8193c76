#include "worker/ctl/ctl.h"
#include "tests/unit/fake.h"
