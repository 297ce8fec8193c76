/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One request over UDP with the retransmission timers of RFC 5080 2.2.1: same bytes, same identifier, same source port; a fresh
 * connected socket for each request, so that identifiers never meet and a closed port answers at once (ECONNREFUSED).
 * Thread: the caller's; it blocks until the answer, the end of the timers or the deadline.
 */
#ifndef SN_DRIVERS_RADIUS_SESSION_UDP_H
#define SN_DRIVERS_RADIUS_SESSION_UDP_H

#include "drivers/radius-session/packet.h"

struct sn_udp_timers {
    int irt_ms; /* first wait */
    int mrt_ms; /* longest wait between two transmissions */
    int mrc;    /* transmissions at most */
    int mrd_ms; /* total, from the first transmission */
};
#define SN_UDP_TIMERS_DEFAULT { .irt_ms = 2000, .mrt_ms = 16000, .mrc = 5, .mrd_ms = 30000 }

enum sn_udp_end {
    SN_UDP_ANSWERED,
    SN_UDP_SILENT,  /* no valid answer in the time allowed: it may have been done */
    SN_UDP_REFUSED, /* nobody listens there, or there is no route: nothing was done */
    SN_UDP_STOPPED, /* may_send() said no */
};

struct sn_udp_result {
    enum sn_udp_end end;
    int sent;                      /* transmissions */
    int discarded;                 /* packets that were not the answer */
    enum sn_packet_fault fault;    /* of the last of them */
    bool zero_ma;                  /* the answer was signed over a zeroed authenticator and taken by option */
    int system_errno;              /* SN_UDP_REFUSED */
    unsigned char data[SN_PACKET_MAX]; /* SN_UDP_ANSWERED: the answer, padding cut off */
    size_t len;
};

struct sn_udp_request {
    const char *address; /* from the inventory; a name is looked up by the system's resolver, which knows no deadline */
    int port;
    const struct sn_packet *packet; /* signed */
    struct sn_packet_check check;   /* now_s is taken afresh for each packet when it is not 0 */
    struct sn_udp_timers timers;
    bool (*may_send)(void *arg); /* asked before each transmission; NULL = always */
    void *may_send_arg;
};
void sn_udp_ask(const struct sn_udp_request *request, int64_t deadline_ms, struct sn_udp_result *ret);

#endif
