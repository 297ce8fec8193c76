/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A trusted YAML file with the lines of its values, so that every fault names its place:
 * `inventory.yaml:12: targets[3].port: maximum 65535`. Thread: one owner at a time.
 */
#ifndef SN_COMMON_CONFIG_YAML_FILE_H
#define SN_COMMON_CONFIG_YAML_FILE_H

#include <jansson.h>
#include <stddef.h>

#include "common/base/error.h"

struct sn_yaml_file {
    char *name;    /* as given, for texts */
    json_t *doc;   /* JSON null when the text holds nothing but comments */
    json_t *lines; /* JSON pointer -> line */
};

/* Errors: <area>.unreadable, <area>.syntax (whatever the loader refuses). *ret is written only on success. */
int sn_yaml_file_read(const char *path, const char *area, struct sn_yaml_file *ret, struct sn_error *err) SN_MUSTCHECK;
int sn_yaml_file_parse(const char *name, const char *area, const char *text, size_t len, struct sn_yaml_file *ret,
                       struct sn_error *err) SN_MUSTCHECK;
void sn_yaml_file_fini(struct sn_yaml_file *file);

/* Line of the value at a JSON pointer, or of the nearest value around it. */
int sn_yaml_file_line(const struct sn_yaml_file *file, const char *pointer);

/* err: `<name>:<line>: <path in words>: <text>`. Returns -1. */
int sn_yaml_file_fault(const struct sn_yaml_file *file, const char *pointer, struct sn_error *err, const char *code,
                       const char *fmt, ...) SN_PRINTF(5, 6);

#endif
