/* The thread of the native journal: what was put becomes frames, and is written and synced in groups, without the GIL.
 *
 * A record waits as its frame with the head left empty (`store/frames.py` has the layout): the thread fills the heads in
 * and writes the buffer as it is. Two buffers change places, so putting waits for no disk.
 * Law: `durable` is raised only after the sync of all the records up to it. A call that failed is never made again: the
 * journal has failed for good, and `durable` stays where it is.
 */

#ifndef ARKWRIGHT_JOURNAL_CORE_H
#define ARKWRIGHT_JOURNAL_CORE_H

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "_digest.h"

/* The same bounds as `store/journal.py`, which says why. */
enum {
    AK_HEAD = 52,
    AK_PAYLOAD_MAX = 16 * 1024 * 1024,
    AK_BATCH_BYTES = 4 * 1024 * 1024,
    AK_KEEP_BYTES = 16 * 1024 * 1024, /* A buffer that a burst has made larger is given back. */
    AK_UNAWAITED_MAX = 256,
    AK_PATH_MAX = 4096,
    AK_DEEP_AFTER = 20, /* Lingers without a record before the thread sleeps until it is woken. */
};
static const int64_t AK_LINGER_NS = 50 * 1000 * 1000, AK_PAUSE_MAX_NS = 2 * 1000 * 1000, AK_PAUSE_A_RECORD_NS = 64 * 1000;

/* The calls that reach the disk; each returns what it does, or an errno below zero. `disk`: what a test put there. */
typedef struct {
    int (*create)(void *disk, const char *path);
    ssize_t (*write)(void *disk, int fd, const unsigned char *data, size_t length);
    int (*sync)(void *disk, int fd);
    int (*sync_directory)(void *disk, const char *path);
} ak_calls;

typedef struct {
    uint64_t segment, offset, sequence;
    unsigned char hash[32];
} ak_place;

typedef struct {
    unsigned char *bytes;
    size_t used, room;
} ak_buffer;

typedef struct {
    /* Under the lock. */
    pthread_mutex_t lock;
    pthread_cond_t bell;
    ak_buffer waiting;
    uint64_t appended, awaited; /* The last record's number, and the last one's that somebody waits for. */
    int since_taken, rung, deep, closed, failed;
    ak_place place;
    /* The thread's own. */
    ak_buffer taken;
    ak_place now;
    uint64_t durable, segment_bytes;
    int64_t next_commit_ns;
    int fd;
    ak_calls calls;
    void *disk;
    void (*notify)(void *owner);
    void *owner;
    uint64_t *durable_out;
    char directory[AK_PATH_MAX];
    unsigned char *opened_head, *opened_tail; /* The first record of a segment, around its two numbers. */
    size_t opened_head_length, opened_tail_length;
} ak_journal;

static int64_t ak_clock_ns(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static struct timespec ak_moment(int64_t ns) {
    struct timespec at = {ns / 1000000000, ns % 1000000000};
    return at;
}

static int ak_create(void *disk, const char *path) {
    (void)disk;
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0600);
    return fd < 0 ? -errno : fd;
}

static ssize_t ak_write(void *disk, int fd, const unsigned char *data, size_t length) {
    (void)disk;
    ssize_t written = write(fd, data, length);
    return written < 0 ? -errno : written;
}

static int ak_sync(void *disk, int fd) {
    (void)disk;
    return fdatasync(fd) ? -errno : 0;
}

static int ak_sync_directory(void *disk, const char *path) {
    (void)disk;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return -errno;
    int failed = fsync(fd) ? -errno : 0;
    close(fd);
    return failed;
}

static const ak_calls ak_disk = {ak_create, ak_write, ak_sync, ak_sync_directory};

static ak_journal *ak_new(void) {
    ak_journal *j = calloc(1, sizeof *j);
    if (!j) return NULL;
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_mutex_init(&j->lock, NULL);
    pthread_cond_init(&j->bell, &attributes);
    pthread_condattr_destroy(&attributes);
    j->calls = ak_disk;
    j->fd = -1;
    j->place.segment = 1; /* Where a reader begins; the thread's own is 0 until it has made a segment. */
    return j;
}

static void ak_free(ak_journal *j) {
    if (!j) return;
    free(j->waiting.bytes);
    free(j->taken.bytes);
    free(j->opened_head);
    free(j->opened_tail);
    pthread_cond_destroy(&j->bell);
    pthread_mutex_destroy(&j->lock);
    free(j);
}

static int ak_room_for(ak_buffer *buffer, size_t more) {
    size_t wanted = buffer->used + more, room = buffer->room ? buffer->room : 65536;
    if (wanted <= buffer->room) return 1;
    while (room < wanted) room *= 2;
    unsigned char *bytes = realloc(buffer->bytes, room);
    if (!bytes) return 0;
    buffer->bytes = bytes;
    buffer->room = room;
    return 1;
}

/* The record's number, from 1; 0: nothing was taken (closed, failed, no memory, no record's length). */
static uint64_t ak_put(ak_journal *j, const void *payload, size_t length, int awaited) {
    if (length < 1 || length > AK_PAYLOAD_MAX) return 0;
    pthread_mutex_lock(&j->lock);
    if (j->closed || j->failed || !ak_room_for(&j->waiting, AK_HEAD + length)) {
        pthread_mutex_unlock(&j->lock);
        return 0;
    }
    unsigned char *frame = j->waiting.bytes + j->waiting.used;
    ak_store_le32(frame + 4, (uint32_t)length);
    memcpy(frame + AK_HEAD, payload, length);
    j->waiting.used += AK_HEAD + length;
    uint64_t number = ++j->appended;
    if (awaited) j->awaited = number;
    int ring = !j->rung && (awaited || ++j->since_taken > AK_UNAWAITED_MAX || j->waiting.used > AK_BATCH_BYTES);
    int wake = ring || j->deep;
    if (ring) j->rung = 1;
    j->deep = 0;
    pthread_mutex_unlock(&j->lock);
    if (wake) pthread_cond_signal(&j->bell);
    return number;
}

static void ak_close(ak_journal *j) {
    pthread_mutex_lock(&j->lock);
    j->closed = 1;
    pthread_mutex_unlock(&j->lock);
    pthread_cond_signal(&j->bell);
}

static ak_place ak_placed(ak_journal *j) {
    pthread_mutex_lock(&j->lock);
    ak_place place = j->place;
    pthread_mutex_unlock(&j->lock);
    return place;
}

/* What waits, once there is reason to write it down; 1 when the journal was closed before it was taken. */
static int ak_take(ak_journal *j, uint64_t *awaited) {
    pthread_mutex_lock(&j->lock);
    for (int idle = 0; !j->rung && !j->closed; idle++) {
        struct timespec until = ak_moment(ak_clock_ns(CLOCK_MONOTONIC) + AK_LINGER_NS);
        if (idle >= AK_DEEP_AFTER && !j->waiting.used) {
            j->deep = 1;
            while (j->deep && !j->closed) pthread_cond_wait(&j->bell, &j->lock);
            idle = 0;
            continue;
        }
        while (!j->rung && !j->closed && pthread_cond_timedwait(&j->bell, &j->lock, &until) == 0) {
        }
        if (j->waiting.used) break;
    }
    if (!j->closed && ak_clock_ns(CLOCK_MONOTONIC) < j->next_commit_ns) {
        pthread_mutex_unlock(&j->lock); /* It stays rung: nobody rings again meanwhile. */
        struct timespec until = ak_moment(j->next_commit_ns);
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
        pthread_mutex_lock(&j->lock);
    }
    ak_buffer spare = j->taken;
    spare.used = 0;
    j->taken = j->waiting;
    j->waiting = spare;
    j->rung = j->since_taken = 0;
    *awaited = j->awaited;
    int closed = j->closed;
    pthread_mutex_unlock(&j->lock);
    return closed;
}

static void ak_seal(ak_journal *j, unsigned char *frame) {
    uint32_t length = ak_load_le32(frame + 4);
    memcpy(frame, "AKJ1", 4);
    ak_store_le64(frame + 8, ++j->now.sequence);
    memcpy(frame + 20, j->now.hash, 32);
    uint32_t crc = ak_crc32(frame + 4, 12, 0);
    ak_store_le32(frame + 16, ak_crc32(frame + 20, 32 + (size_t)length, crc));
    ak_sha256(ak_sha_best, frame, AK_HEAD + (size_t)length, j->now.hash);
}

static int ak_write_all(ak_journal *j, const unsigned char *data, size_t length) {
    j->now.offset += length;
    while (length) {
        ssize_t written = j->calls.write(j->disk, j->fd, data, length);
        if (written <= 0) return written ? (int)written : -EIO;
        data += written;
        length -= written;
    }
    return 0;
}

/* As short as MessagePack has it. */
static size_t ak_pack(unsigned char *at, uint64_t value) {
    int bytes = value < 0x80 ? 0 : value < 0x100 ? 1 : value < 0x10000 ? 2 : value < 0x100000000 ? 4 : 8;
    if (!bytes) return *at = (unsigned char)value, 1;
    *at = bytes == 1 ? 0xcc : bytes == 2 ? 0xcd : bytes == 4 ? 0xce : 0xcf;
    for (int i = 0; i < bytes; i++) at[1 + i] = value >> 8 * (bytes - 1 - i);
    return 1 + bytes;
}

static int ak_write_opened(ak_journal *j) {
    unsigned char *frame = malloc(AK_HEAD + j->opened_head_length + j->opened_tail_length + 32), *at;
    if (!frame) return -ENOMEM;
    at = frame + AK_HEAD;
    memcpy(at, j->opened_head, j->opened_head_length);
    at += j->opened_head_length;
    at += ak_pack(at, j->now.segment);
    memcpy(at, "\xa5" "at_us", 6);
    at += 6;
    at += ak_pack(at, (uint64_t)(ak_clock_ns(CLOCK_REALTIME) / 1000));
    memcpy(at, j->opened_tail, j->opened_tail_length);
    at += j->opened_tail_length;
    ak_store_le32(frame + 4, (uint32_t)(at - frame - AK_HEAD));
    ak_seal(j, frame);
    int failed = ak_write_all(j, frame, at - frame);
    free(frame);
    return failed;
}

static int ak_next_segment(ak_journal *j) {
    char path[AK_PATH_MAX + 32];
    if (j->fd >= 0) close(j->fd);
    j->fd = -1;
    j->now.segment++;
    j->now.offset = 0;
    snprintf(path, sizeof path, "%s/%06llu.segment", j->directory, (unsigned long long)j->now.segment);
    int fd = j->calls.create(j->disk, path);
    if (fd < 0) return fd;
    j->fd = fd;
    int failed = j->calls.sync_directory(j->disk, j->directory);
    return failed ? failed : ak_write_opened(j);
}

/* Seal, write and sync frames that lie one behind the other; in a new segment when this one is full, or there is none. */
static int ak_commit(ak_journal *j, unsigned char *frames, size_t length) {
    int failed = 0;
    if (!j->now.segment || j->now.offset >= j->segment_bytes) failed = ak_next_segment(j);
    if (failed) return failed;
    for (size_t at = 0; at < length; at += AK_HEAD + (size_t)ak_load_le32(frames + at + 4)) ak_seal(j, frames + at);
    if ((failed = ak_write_all(j, frames, length))) return failed;
    if ((failed = j->calls.sync(j->disk, j->fd))) return failed;
    pthread_mutex_lock(&j->lock);
    j->place = j->now;
    pthread_mutex_unlock(&j->lock);
    return 0;
}

static int ak_commit_taken(ak_journal *j, uint64_t awaited) {
    unsigned char *frames = j->taken.bytes;
    for (size_t at = 0; at < j->taken.used;) {
        size_t end = at;
        uint64_t count = 0;
        while (end < j->taken.used && end - at < AK_BATCH_BYTES) {
            end += AK_HEAD + (size_t)ak_load_le32(frames + end + 4);
            count++;
        }
        int failed = ak_commit(j, frames + at, end - at);
        if (failed) return failed;
        uint64_t before = j->durable;
        j->durable += count;
        __atomic_store_n(j->durable_out, j->durable, __ATOMIC_RELEASE);
        if (awaited > before) j->notify(j->owner);
        at = end;
    }
    if (j->taken.room > AK_KEEP_BYTES) {
        free(j->taken.bytes);
        memset(&j->taken, 0, sizeof j->taken);
    }
    return 0;
}

/* The thread: until the journal is closed and all is on the disk, or a call has failed. */
static void ak_run(ak_journal *j) {
    uint64_t awaited;
    sigset_t all, before;
    int failed = 0, over = 0;
    sigfillset(&all); /* A signal must not end a sync half way. */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (!over && !failed) {
        int closed = ak_take(j, &awaited);
        over = closed && !j->taken.used;
        if (j->taken.used) {
            uint64_t before = j->durable;
            failed = ak_commit_taken(j, awaited);
            int64_t pause_ns = (int64_t)(j->durable - before) * AK_PAUSE_A_RECORD_NS;
            j->next_commit_ns = ak_clock_ns(CLOCK_MONOTONIC) + (pause_ns < AK_PAUSE_MAX_NS ? pause_ns : AK_PAUSE_MAX_NS);
        }
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed) {
        pthread_mutex_lock(&j->lock);
        j->failed = -failed;
        pthread_mutex_unlock(&j->lock);
        j->notify(j->owner);
    }
}

#endif
