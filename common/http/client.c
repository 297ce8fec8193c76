/* SPDX-License-Identifier: Apache-2.0 */
#include <curl/curl.h>
#include <stdbool.h>
#include <string.h>

#include "common/http/http.h"

static size_t take_body(char *data, size_t size, size_t count, void *arg)
{
    struct sn_buf *body = arg;

    sn_buf_add(body, data, size * count);
    return body->failed ? 0 : size * count;
}

/* The list holds copies of headers, one of which may be a token. */
static void headers_free(struct curl_slist *list)
{
    for (struct curl_slist *i = list; i != NULL; i = i->next)
        explicit_bzero(i->data, strlen(i->data));
    curl_slist_free_all(list);
}

static int headers_copy(const char *const *headers, struct curl_slist **ret)
{
    struct curl_slist *list = NULL;

    for (; headers != NULL && *headers != NULL; headers++) {
        struct curl_slist *longer = curl_slist_append(list, *headers);
        if (longer == NULL) {
            headers_free(list);
            return -1;
        }
        list = longer;
    }
    *ret = list;
    return 0;
}

/* Why the request cannot be sent as it is, NULL when it can. */
static const char *objection(const struct sn_http_request *request)
{
    const char *const *header = request->headers;

    if (strncmp(request->url, "http://", 7) != 0 && strncmp(request->url, "https://", 8) != 0)
        return "the URL does not begin with http:// or https://";
    if (request->timeout_ms <= 0 || request->reply_max == 0)
        return "no timeout or no room for the answer";
    for (; header != NULL && *header != NULL; header++) {
        /* CR or LF would begin another header */
        if (strpbrk(*header, "\r\n") != NULL || strchr(*header, ':') == NULL)
            return "a header is not one line `Name: value`";
    }
    return NULL;
}

static CURLcode prepare(CURL *curl, const struct sn_http_request *request, const struct curl_slist *headers,
                        struct sn_buf *body)
{
    CURLcode rc = CURLE_OK;

#define SET(option, value)                              \
    do {                                                \
        if (rc == CURLE_OK)                             \
            rc = curl_easy_setopt(curl, option, value); \
    } while (0)
    SET(CURLOPT_URL, request->url);
    SET(CURLOPT_PROTOCOLS_STR, "http,https");
    SET(CURLOPT_PROXY, request->proxy != NULL ? request->proxy : "");
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    SET(CURLOPT_TIMEOUT_MS, (long)request->timeout_ms);
    SET(CURLOPT_HTTPHEADER, headers);
    SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    SET(CURLOPT_WRITEFUNCTION, take_body);
    SET(CURLOPT_WRITEDATA, body);
    SET(CURLOPT_FORBID_REUSE, 1L);
    if (request->ca_file != NULL)
        SET(CURLOPT_CAINFO, request->ca_file);
    if (request->body != NULL) {
        SET(CURLOPT_POST, 1L);
        SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_len);
        SET(CURLOPT_POSTFIELDS, request->body);
    }
#undef SET
    return rc;
}

static int fail(struct sn_error *err, CURLcode rc, const struct sn_http_request *request, const struct sn_buf *body)
{
    switch (rc) {
    case CURLE_OPERATION_TIMEDOUT:
        return sn_error_set(err, "http.timeout", "no complete answer within %d ms", request->timeout_ms);
    case CURLE_URL_MALFORMAT:
        return sn_error_set(err, "http.request", "%s", curl_easy_strerror(rc));
    case CURLE_WRITE_ERROR:
        if (body->failed)
            return sn_error_set(err, "http.too-large", "answer longer than %zu bytes", request->reply_max);
        break;
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
        return sn_error_set(err, "http.tls", "%s", curl_easy_strerror(rc));
    case CURLE_OUT_OF_MEMORY:
        return sn_error_oom(err);
    default:
        break;
    }
    return sn_error_set(err, "http.unreachable", "%s", curl_easy_strerror(rc));
}

int sn_http_fetch(const struct sn_http_request *request, struct sn_http_answer *ret, struct sn_error *err)
{
    const char *no = objection(request);
    struct sn_buf body = SN_BUF_INIT_MAX(request->reply_max);
    struct curl_slist *headers = NULL;
    CURL *curl = NULL;
    CURLcode code;
    long status = 0;
    int rc = -1;

    if (no != NULL)
        return sn_error_set(err, "http.request", "%s", no);
    curl = curl_easy_init();
    if (curl == NULL || headers_copy(request->headers, &headers) != 0) {
        sn_error_oom(err);
        goto out;
    }
    code = prepare(curl, request, headers, &body);
    if (code == CURLE_OK)
        code = curl_easy_perform(curl);
    if (code == CURLE_OK)
        code = curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    if (code != CURLE_OK) {
        fail(err, code, request, &body);
        goto out;
    }
    ret->status = (int)status;
    ret->body = body;
    body = (struct sn_buf)SN_BUF_INIT;
    rc = 0;
out:
    if (curl != NULL)
        curl_easy_cleanup(curl);
    headers_free(headers);
    sn_buf_fini(&body);
    return rc;
}

void sn_http_answer_fini(struct sn_http_answer *answer)
{
    sn_buf_fini(&answer->body);
}
