#include "drivers/one/one.h"
#include "worker/ctl/ctl.h"
#include "tests/unit/fake.h"
#include "deploy/x.h"
