/* SPDX-License-Identifier: Apache-2.0 */
/* The SSH side of the simulated OLTs (libssh server), on the simulator's event loop. */
#ifndef SIM_SSHD_H
#define SIM_SSHD_H

#include "model.h"

/* Makes the host key file when it is missing ("ed25519" or "rsa"); 0, or -1 with a sentence on stderr. */
int sshd_host_key(const char *path, const char *type);
/* Opens the OLT's listener (and fills in its port when it was 0); 0, or -1 with a sentence on stderr. */
int sshd_listen(struct olt *olt);
/* Closes the listener: connecting is refused until sshd_listen(). Sessions stay. */
void sshd_unlisten(struct olt *olt);
/* Forgets the host key and algorithms in use: the next connection reads them again. */
void sshd_refresh(struct olt *olt);
/* Ends the connections and frees all of the OLT's SSH side. */
void sshd_close(struct olt *olt);

#endif
