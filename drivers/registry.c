/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "drivers/driver.h"
#include "drivers/freeradius-sql/freeradius_sql.h"
#include "drivers/huawei-smartax/huawei-smartax.h"
#include "drivers/null/null.h"
#include "drivers/radius-session/radius_session.h"

const struct sn_driver *const sn_drivers[] = {
    &sn_driver_freeradius_sql,
    &sn_driver_huawei_smartax,
    &sn_driver_null,
    &sn_driver_radius_session,
    NULL,
};

const struct sn_driver *sn_driver_find(const char *name)
{
    for (size_t i = 0; sn_drivers[i] != NULL; i++) {
        if (strcmp(sn_drivers[i]->name, name) == 0)
            return sn_drivers[i];
    }
    return NULL;
}

bool sn_driver_serves(const struct sn_driver *driver, const char *aspect)
{
    for (size_t i = 0; driver->aspects[i] != NULL; i++) {
        if (strcmp(driver->aspects[i], aspect) == 0)
            return true;
    }
    return false;
}
