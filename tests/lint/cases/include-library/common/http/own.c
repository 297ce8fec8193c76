#include <curl/curl.h>
#include <microhttpd.h>
