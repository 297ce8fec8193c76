/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a fuzz target over the files of a corpus (folders in SILVER_CORPUS, separated by colons), and over every file
 * cut and bent in a few fixed ways. Fails when there is nothing to run: an empty corpus proves nothing.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FILE_MAX (256 * 1024)

/* An exact copy on the heap, so that a sanitizer sees one byte too many. */
static void run(const uint8_t *data, size_t size)
{
    uint8_t *exact = malloc(size > 0 ? size : 1);

    if (exact == NULL)
        abort();
    memcpy(exact, data, size);
    (void)LLVMFuzzerTestOneInput(exact, size);
    free(exact);
}

static size_t run_file(const char *path)
{
    static uint8_t data[FILE_MAX];
    FILE *file = fopen(path, "rb");
    size_t size;

    if (file == NULL)
        return 0;
    size = fread(data, 1, sizeof data, file);
    (void)fclose(file);
    run(data, size);
    for (size_t i = 0; i < 32 && size > 0; i++) {
        size_t at = size * i / 32;
        uint8_t old = data[at];
        run(data, at);
        data[at] = (uint8_t)(old ^ (1u << (i % 8)));
        run(data, size);
        data[at] = old;
    }
    return 1;
}

static size_t run_folder(const char *folder)
{
    DIR *dir = opendir(folder);
    const struct dirent *entry;
    size_t count = 0;

    if (dir == NULL)
        return 0;
    while ((entry = readdir(dir)) != NULL) {
        char path[1024];
        if (entry->d_name[0] == '.')
            continue;
        (void)snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        count += run_file(path);
    }
    (void)closedir(dir);
    return count;
}

int main(void)
{
    const char *folders = getenv("SILVER_CORPUS");
    char *list = strdup(folders != NULL ? folders : "");
    char *rest = NULL;
    int empty = list == NULL || *list == '\0';

    for (char *folder = empty ? NULL : strtok_r(list, ":", &rest); folder != NULL;
         folder = strtok_r(NULL, ":", &rest)) {
        size_t count = run_folder(folder);
        printf("%s: %zu files\n", folder, count);
        empty = empty || count == 0;
    }
    free(list);
    return empty;
}
