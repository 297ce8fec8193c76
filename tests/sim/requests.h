/* SPDX-License-Identifier: Apache-2.0 */
/* The requests of the control socket; see README.md. */
#ifndef SIM_REQUESTS_H
#define SIM_REQUESTS_H

#include "model.h"

/* The answer to one request, owned by the caller: {"ok":true,…} or {"ok":false,"error":…}. */
json_t *request_answer(struct sim *sim, json_t *request);

#endif
