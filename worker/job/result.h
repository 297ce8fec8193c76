/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is said of a job: transcript entries while it runs, and the result (schemas/result/v1) when it ends or pauses.
 * Everything that enters here passes the redactor and the escaper. Thread: the job's owner.
 */
#ifndef SN_WORKER_JOB_RESULT_H
#define SN_WORKER_JOB_RESULT_H

#include "worker/fleet/fleet.h"
#include "worker/job/job.h"

/* Where to cut a UTF-8 text that is longer than max: never inside a character. */
size_t sn_job_cut_at(const char *text, size_t max);
/* Appends to the transcript (conf.log_bytes, then `truncated`: the beginnings of the lines that follow). dir: ">" sent, "<" answered, "!" a note of ours. */
void sn_job_note(struct sn_job *job, const struct sn_fleet *fleet, const char *target, const char *dir, const char *text,
                 const char *verdict);

/* Redacts and escapes foreign text, newlines kept as newlines (one line a reply line), into out. */
void sn_job_clean_text(const struct sn_fleet *fleet, const char *text, size_t len, struct sn_buf *out);

/* Masks secrets in every string of a tree that nobody else reads yet. NULL is well. */
void sn_job_mask(const struct sn_fleet *fleet, json_t *tree);

struct sn_result_say {
    bool final;
    const char *outcome;        /* final only; else NULL */
    bool saved;
    const struct sn_verdict *cause; /* code and args; may be NULL */
    const char *waiting;        /* progress: what is waited for (target id), NULL = nothing */
    int64_t waiting_since_ms;   /* wall clock */
    bool letter;                /* dead: carries the sealed event */
};

/* The result as JSON text (malloc'ed), with transcript. NULL on memory. */
char *sn_result_text(const struct sn_job *job, const struct sn_fleet *fleet, const struct sn_result_say *say);
/* The same without transcript and letter, some 4 kB: what Redis keeps, to be said again. NULL on memory. */
char *sn_result_stored(const struct sn_job *job, const struct sn_fleet *fleet, const struct sn_result_say *say);

/* Whole outcome of the steps: worst (dead > applied > unchanged). Evidence: weakest of those that were written. */
const char *sn_result_outcome(const struct sn_job *job);
enum sn_evidence sn_result_evidence(const struct sn_job *job);
/* Outcome of one step, in a word. */
const char *sn_result_step_outcome(const struct sn_job *job, const struct sn_step *step);

#endif
