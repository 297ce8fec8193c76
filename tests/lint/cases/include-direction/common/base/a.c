#include "common/base/a.h"
#include "drivers/driver.h"
#include "worker/job/job.h"
