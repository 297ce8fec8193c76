/* SPDX-License-Identifier: Apache-2.0 */
#include "drivers/radius-session/names.h"

#include <arpa/inet.h>
#include <radcli/radcli.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/text.h"
#include "drivers/radius-session/packet.h"

extern const char sn_embed_drivers_radius_session_dictionary_txt[];

struct sn_radius_names {
    rc_handle *rh;
};

int sn_radius_names_load(struct sn_radius_names **ret, struct sn_error *err)
{
    struct sn_radius_names *names = calloc(1, sizeof(*names));
    const char *text = sn_embed_drivers_radius_session_dictionary_txt;

    if (names == NULL || (names->rh = rc_new()) == NULL) {
        free(names);
        return sn_error_oom(err);
    }
    if (rc_read_dictionary_from_buffer(names->rh, text, strlen(text)) != 0) {
        sn_radius_names_free(names);
        return sn_error_set(err, "radius.dictionary", "libradcli refuses the embedded dictionary");
    }
    *ret = names;
    return 0;
}

void sn_radius_names_free(struct sn_radius_names *names)
{
    if (names == NULL)
        return;
    rc_destroy(names->rh); /* its dictionary too */
    free(names);
}

void sn_radius_cause_text(const struct sn_radius_names *names, uint32_t cause, char out[SN_CAUSE_TEXT_MAX])
{
    const DICT_VALUE *v = cause != 0 ? rc_dict_getval(names->rh, cause, "Error-Cause") : NULL;

    if (v != NULL)
        (void)snprintf(out, SN_CAUSE_TEXT_MAX, "%s", v->name);
    else if (cause == 0)
        (void)snprintf(out, SN_CAUSE_TEXT_MAX, "no Error-Cause");
    else
        (void)snprintf(out, SN_CAUSE_TEXT_MAX, "%lu", (unsigned long)cause);
}

static const char *code_word(unsigned char code)
{
    switch (code) {
    case SN_ACCESS_REQUEST:
        return "Access-Request";
    case SN_ACCESS_ACCEPT:
        return "Access-Accept";
    case SN_ACCESS_REJECT:
        return "Access-Reject";
    case SN_ACCESS_CHALLENGE:
        return "Access-Challenge";
    case SN_DISCONNECT_REQUEST:
        return "Disconnect-Request";
    case SN_DISCONNECT_ACK:
        return "Disconnect-ACK";
    case SN_DISCONNECT_NAK:
        return "Disconnect-NAK";
    case SN_COA_REQUEST:
        return "CoA-Request";
    case SN_COA_ACK:
        return "CoA-ACK";
    case SN_COA_NAK:
        return "CoA-NAK";
    default:
        return "packet";
    }
}

/* Values that prove something or are binary noise. */
static bool is_hidden(const struct sn_packet_attribute *a)
{
    return a->vendor == 0 && (a->type == SN_ATTR_CHAP_PASSWORD || a->type == SN_ATTR_CHAP_CHALLENGE || a->type == 2 ||
                              a->type == SN_ATTR_MESSAGE_AUTHENTICATOR || a->type == SN_ATTR_VENDOR_SPECIFIC);
}

static void describe_value(const struct sn_radius_names *names, const struct sn_packet_attribute *a, const DICT_ATTR *attr,
                           struct sn_buf *out)
{
    char text[INET6_ADDRSTRLEN];

    if (attr->type == PW_TYPE_INTEGER && a->len == 4) {
        uint32_t n = (uint32_t)a->value[0] << 24 | (uint32_t)a->value[1] << 16 | (uint32_t)a->value[2] << 8 | a->value[3];
        const DICT_VALUE *v = rc_dict_getval(names->rh, n, attr->name);
        if (v != NULL)
            sn_buf_adds(out, v->name);
        else
            sn_buf_addf(out, "%lu", (unsigned long)n);
    } else if (attr->type == PW_TYPE_IPADDR && a->len == 4 && inet_ntop(AF_INET, a->value, text, sizeof(text)) != NULL) {
        sn_buf_adds(out, text);
    } else if (attr->type == PW_TYPE_IPV6ADDR && a->len == 16 && inet_ntop(AF_INET6, a->value, text, sizeof(text)) != NULL) {
        sn_buf_adds(out, text);
    } else {
        sn_buf_adds(out, "\"");
        sn_buf_add_escaped(out, (const char *)a->value, a->len);
        sn_buf_adds(out, "\"");
    }
}

void sn_radius_describe(const struct sn_radius_names *names, const unsigned char *data, size_t len, struct sn_buf *out)
{
    struct sn_packet_cursor cursor = { 0 };
    struct sn_packet_attribute a;
    const char *before = ": ";

    if (len < SN_PACKET_HEADER)
        return;
    sn_buf_addf(out, "%s id %u", code_word(data[0]), data[1]);
    while (sn_packet_next(data, len, &cursor, &a)) {
        /* vendor and number share one int, 16 bits each: a larger vendor number has no name here */
        const DICT_ATTR *attr = a.vendor <= 0xffff ? rc_dict_getattr(names->rh, (int)(a.vendor << 16 | a.type)) : NULL;
        sn_buf_adds(out, before);
        before = ", ";
        if (attr != NULL)
            sn_buf_adds(out, attr->name);
        else
            sn_buf_addf(out, "attribute %lu/%u", (unsigned long)a.vendor, a.type);
        if (attr == NULL || is_hidden(&a))
            continue;
        sn_buf_adds(out, " = ");
        describe_value(names, &a, attr, out);
    }
}
