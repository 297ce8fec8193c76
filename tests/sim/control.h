/* SPDX-License-Identifier: Apache-2.0 */
/* The control socket: one JSON object a line, one answer a line; {"op":"relay","olt":…} turns it into a console. */
#ifndef SIM_CONTROL_H
#define SIM_CONTROL_H

#include "model.h"

struct control;

/* NULL with a sentence on stderr. */
struct control *control_open(struct sim *sim);
void control_close(struct control *c);

#endif
