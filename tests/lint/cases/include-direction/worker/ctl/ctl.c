#include "worker/job/job.h"
#include "worker/ctl/ctl.h"
