/* SPDX-License-Identifier: Apache-2.0 */
/* The two small clients of the control socket. Both return an exit code. */
#ifndef SIM_CLIENT_H
#define SIM_CLIENT_H

/* Sends one request, prints the answer; 0 when it says ok. */
int client_ctl(const char *socket_path, const char *request);
/* Joins stdin and stdout to a console of an OLT, as a ForceCommand of an SSH server does. */
int client_relay(const char *socket_path, const char *olt);

#endif
