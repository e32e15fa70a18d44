/* The arithmetic of `host/permits.py` and `domain/limits.py` on the mapped words, step by step in the same order.
 *
 * Law: that of `host/permits.py`. Words are stored one by one and in the order written here (`ak_set`), so that a kill
 * between two of them leaves too much, never too little. A number that a word could not hold changes nothing.
 */

#ifndef ARKWRIGHT_PERMITS_CORE_H
#define ARKWRIGHT_PERMITS_CORE_H

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <time.h>
#include <unistd.h>

#ifndef F_OFD_SETLK
#define F_OFD_SETLK 37
#define F_OFD_SETLKW 38
#endif

enum { AK_BUCKETS = 61, AK_PAST = 1, AK_FIRST = 3 };
static const int64_t AK_SECOND_NS = 1000000000, AK_DAY_US = 86400000000LL, AK_NO_CAP = (int64_t)1 << 62;

typedef struct {
    int64_t at, requests, requests_past, requests_first, tokens, tokens_past, tokens_first;
} ak_window;

typedef struct {
    int64_t at, cap;
} ak_open;

typedef struct {
    int64_t at, reserved, daily, monthly; /* Below zero: no such budget. `at`: where the day's entries begin. */
} ak_budget;

typedef struct {
    int64_t lock, balance, held; /* `lock`: the byte of the organization. */
    int prepaid, limited, window_count, open_count, budget_count;
    ak_window *windows;
    ak_open *opens;
    ak_budget *budgets;
} ak_group;

typedef struct {
    int64_t *words;
    int64_t index, slots_used_at; /* The worker's slot; the word that says how many slots were ever used. */
    int fd;
} ak_door;

typedef struct {
    int64_t second, tokens, cost_pico, at_us;
} ak_taken;

/* Cap, what is left of it, and when it is empty. */
typedef struct {
    int64_t requests[3], tokens[3];
} ak_standing;

static int64_t ak_now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * AK_SECOND_NS + now.tv_nsec;
}

/* Every store into the words. */
static inline void ak_set(int64_t *words, int64_t at, int64_t value) { *(volatile int64_t *)(words + at) = value; }

static inline int64_t ak_get(const int64_t *words, int64_t at) { return *(const volatile int64_t *)(words + at); }

static inline void ak_add(int64_t *words, int64_t at, int64_t change) { ak_set(words, at, ak_get(words, at) + change); }

/* The organization's lock. 0, or an errno. */
static int ak_lock(const ak_door *door, int64_t byte, int command, short type) {
    struct flock lock = {.l_type = type, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};
    while (fcntl(door->fd, command, &lock)) {
        if (errno != EINTR) return errno;
    }
    return 0;
}

/* Without waiting: EAGAIN where another has it. */
static int ak_try(const ak_door *door, int64_t byte) { return ak_lock(door, byte, F_OFD_SETLK, F_WRLCK); }
static int ak_wait(const ak_door *door, int64_t byte) { return ak_lock(door, byte, F_OFD_SETLKW, F_WRLCK); }
static int ak_unlock(const ak_door *door, int64_t byte) { return ak_lock(door, byte, F_OFD_SETLK, F_UNLCK); }

/* domain/limits.py */

static int64_t ak_nano(int64_t pico) { return pico / 1000 + (pico % 1000 > 0); }

static int64_t ak_month_of(int64_t day) {
    int64_t shifted = day + 719468, era = shifted / 146097, of_era = shifted % 146097;
    int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * year + year / 4 - year / 100);
    return (year + era * 400) * 12 + (5 * of_year + 2) / 153 + 2;
}

static void ak_slide(int64_t *words, int64_t at, int64_t second) {
    int64_t newest = ak_get(words, at), gone = second - newest;
    if (-AK_BUCKETS < gone && gone <= 0) return;
    for (int what = 0; what < 2; what++) {
        int64_t first = at + AK_FIRST + what * AK_BUCKETS, sum = 0;
        if (gone >= AK_BUCKETS || gone < 0)
            for (int bucket = 0; bucket < AK_BUCKETS; bucket++) ak_set(words, first + bucket, 0);
        else
            for (int64_t passed = newest + 1; passed <= second; passed++) ak_set(words, first + passed % AK_BUCKETS, 0);
        for (int bucket = 0; bucket < AK_BUCKETS; bucket++) sum += ak_get(words, first + bucket);
        ak_set(words, at + AK_PAST + what, sum);
    }
    ak_set(words, at, second);
}

static void ak_correct(int64_t *words, int64_t at, int what, int64_t second, int64_t change) {
    int64_t newest = ak_get(words, at), ago = newest - second;
    if (ago < 0 || ago >= AK_BUCKETS) return;
    int64_t bucket = at + AK_FIRST + what * AK_BUCKETS + second % AK_BUCKETS, past = at + AK_PAST + what;
    int64_t least = -ak_get(words, bucket);
    if (change < least) change = least;
    if (change > 0 && ago) ak_add(words, past, change);
    ak_add(words, bucket, change);
    if (change < 0 && ago) {
        int64_t left = ak_get(words, past) + change;
        ak_set(words, past, left > 0 ? left : 0);
    }
}

static int64_t ak_counted(const int64_t *words, int64_t at, int what, int64_t second) {
    int64_t newest = ak_get(words, at), first = at + AK_FIRST + what * AK_BUCKETS, sum = 0;
    if (second - newest <= -AK_BUCKETS || second - newest >= AK_BUCKETS) return 0;
    int64_t moment = (newest > second ? newest : second) - AK_BUCKETS + 1;
    for (; moment <= newest; moment++) sum += ak_get(words, first + (moment % AK_BUCKETS + AK_BUCKETS) % AK_BUCKETS);
    return sum;
}

static int64_t ak_empty_in_ms(const int64_t *words, int64_t at, int what, int64_t now_ms) {
    int64_t newest = ak_get(words, at), first = at + AK_FIRST + what * AK_BUCKETS;
    for (int64_t second = newest; second > newest - AK_BUCKETS; second--)
        if (ak_get(words, first + (second % AK_BUCKETS + AK_BUCKETS) % AK_BUCKETS)) {
            int64_t wait_ms = (second + AK_BUCKETS) * 1000 - now_ms;
            return wait_ms > 0 ? wait_ms : 0;
        }
    return 0;
}

/* host/permits.py: whether there is room, under the lock */

static int64_t ak_slid(const ak_door *door, const ak_group *group, int64_t second) {
    int64_t newest = second;
    for (int i = 0; i < group->window_count; i++) ak_slide(door->words, group->windows[i].at, second);
    for (int i = 0; i < group->window_count; i++) {
        int64_t known = ak_get(door->words, group->windows[i].at);
        if (!i || known > newest) newest = known;
    }
    for (int i = 0; i < group->window_count; i++) ak_slide(door->words, group->windows[i].at, newest);
    return newest;
}

static __int128 ak_sum(const int64_t *words, int64_t at, int64_t count) {
    __int128 sum = 0;
    for (int64_t i = 0; i < count; i++) sum += ak_get(words, at + i);
    return sum;
}

static __int128 ak_free_pico(const ak_door *door, const ak_group *group) {
    const int64_t *words = door->words;
    return ak_get(words, group->balance) - ak_sum(words, group->balance + 1, 2 * ak_get(words, door->slots_used_at));
}

/* What was spent; begins the period when it is new. */
static int64_t ak_begun(int64_t *words, int64_t at, int64_t period) {
    int64_t entry = at + 2 * (period & 1);
    if (ak_get(words, entry) > period) return INT64_MAX;
    if (ak_get(words, entry) < period) {
        ak_set(words, entry + 1, 0);
        ak_set(words, entry, period);
    }
    return ak_get(words, entry + 1);
}

static int ak_in_budget(const ak_door *door, const ak_group *group, int64_t more_nano, int64_t at_us) {
    int64_t *words = door->words, day = at_us / AK_DAY_US;
    for (int i = 0; i < group->budget_count; i++) {
        const ak_budget *budget = &group->budgets[i];
        __int128 reserved = ak_sum(words, budget->reserved, ak_get(words, door->slots_used_at));
        __int128 daily = AK_NO_CAP, monthly = AK_NO_CAP;
        if (budget->daily >= 0) daily = budget->daily - (__int128)ak_begun(words, budget->at, day) - reserved;
        if (budget->monthly >= 0)
            monthly = budget->monthly - (__int128)ak_begun(words, budget->at + 4, ak_month_of(day)) - reserved;
        if (daily < more_nano || monthly < more_nano) return 0;
    }
    return 1;
}

static int ak_rest_fits(const ak_door *door, const ak_group *group, int64_t cost_pico, int64_t at_us) {
    const int64_t *words = door->words;
    if (group->prepaid && cost_pico && cost_pico > ak_free_pico(door, group)) return 0;
    for (int i = 0; i < group->open_count; i++) {
        const ak_open *open = &group->opens[i];
        if (ak_sum(words, open->at, ak_get(words, door->slots_used_at)) >= open->cap) return 0;
    }
    return !group->budget_count || !cost_pico || ak_in_budget(door, group, ak_nano(cost_pico), at_us);
}

/* 1: taken. 0: something is in the way, and nothing was counted. Under the lock. */
static int ak_take(const ak_door *door, const ak_group *group, ak_taken *taken, int64_t now_ns) {
    int64_t *words = door->words, second = now_ns / AK_SECOND_NS, bucket = second % AK_BUCKETS;
    for (int i = 0; i < group->window_count; i++) {
        const ak_window *window = &group->windows[i];
        if (ak_get(words, window->at) != second) {
            second = ak_slid(door, group, second);
            bucket = second % AK_BUCKETS;
        }
        __int128 requests = (__int128)ak_get(words, window->requests_past) + ak_get(words, window->requests_first + bucket);
        __int128 tokens = (__int128)ak_get(words, window->tokens_past) + ak_get(words, window->tokens_first + bucket);
        int64_t wanted = taken->tokens < window->tokens ? taken->tokens : window->tokens;
        if (requests >= window->requests || tokens + wanted > window->tokens) return 0;
    }
    if (!ak_rest_fits(door, group, taken->cost_pico, taken->at_us)) return 0;
    for (int i = 0; i < group->window_count; i++) {
        const ak_window *window = &group->windows[i];
        ak_add(words, window->requests_first + bucket, 1);
        ak_add(words, window->tokens_first + bucket, taken->tokens < window->tokens ? taken->tokens : window->tokens);
    }
    for (int i = 0; i < group->open_count; i++) ak_add(words, group->opens[i].at + door->index, 1);
    if (group->prepaid) ak_add(words, group->held, taken->cost_pico);
    for (int i = 0; i < group->budget_count; i++)
        ak_add(words, group->budgets[i].reserved + door->index, ak_nano(taken->cost_pico));
    taken->second = second;
    return 1;
}

/* What changes when it is over, under the lock */

static void ak_correct_pieces(
    const ak_door *door, const ak_group *group, const ak_taken *taken, const ak_window *window, int64_t tokens, int64_t now_ns) {
    int64_t count = taken->tokens < window->tokens ? taken->tokens : window->tokens, surplus = count - tokens;
    if (surplus < 0) ak_correct(door->words, window->at, 1, ak_slid(door, group, now_ns / AK_SECOND_NS), -surplus);
    int64_t back = surplus < count ? surplus : count;
    ak_correct(door->words, window->at, 1, taken->second, back > 0 ? -back : 0);
}

static void ak_spend(const ak_door *door, const ak_budget *budget, const ak_taken *taken, int64_t amount_pico) {
    int64_t *words = door->words, nano = ak_nano(amount_pico), day = taken->at_us / AK_DAY_US;
    int64_t periods[2] = {day, ak_month_of(day)};
    for (int i = 0; i < 2; i++) {
        int64_t at = budget->at + 4 * i, entry = at + 2 * (periods[i] & 1) + 1, spent;
        if (!nano || ak_begun(words, at, periods[i]) == INT64_MAX) continue;
        if (__builtin_add_overflow(ak_get(words, entry), nano, &spent) || spent > INT64_MAX - 1) spent = INT64_MAX - 1;
        ak_set(words, entry, spent);
    }
    ak_add(words, budget->reserved + door->index, -ak_nano(taken->cost_pico));
}

/* Returns what the balance covered of the amount. */
static int64_t ak_end(
    const ak_door *door, const ak_group *group, const ak_taken *taken, int64_t amount_pico, int64_t tokens, int64_t now_ns) {
    int64_t *words = door->words;
    for (int i = 0; i < group->window_count; i++) {
        const ak_window *window = &group->windows[i];
        int64_t counted = taken->tokens < window->tokens ? taken->tokens : window->tokens;
        if (tokens > counted || ak_get(words, window->at) - taken->second >= AK_BUCKETS)
            ak_correct_pieces(door, group, taken, window, tokens, now_ns);
        else if (tokens < counted) { /* The bucket first: a kill before the past leaves too much. */
            ak_add(words, window->tokens_first + taken->second % AK_BUCKETS, tokens - counted);
            if (ak_get(words, window->at) != taken->second) ak_add(words, window->tokens_past, tokens - counted);
        }
    }
    for (int i = 0; i < group->open_count; i++) ak_add(words, group->opens[i].at + door->index, -1);
    for (int i = 0; i < group->budget_count; i++) ak_spend(door, &group->budgets[i], taken, amount_pico);
    if (!group->prepaid) return amount_pico;
    int64_t held_pico = taken->cost_pico;
    if (amount_pico > held_pico) { /* As far as the balance goes, and never further. */
        __int128 free_pico = ak_free_pico(door, group);
        int64_t wanted = amount_pico - held_pico, more = free_pico < wanted ? (int64_t)free_pico : wanted;
        if (more < 0) more = 0;
        ak_add(words, group->held, more);
        held_pico += more;
    }
    int64_t collected = amount_pico < held_pico ? amount_pico : held_pico;
    ak_add(words, group->held + 1, collected); /* Spent first: a kill before the next line reserves too much. */
    ak_add(words, group->held, -held_pico);
    return collected;
}

/* What is left of the tightest windows; read without the lock. */
static void ak_tightest(const int64_t *words, const ak_group *group, int what, int64_t now_ms, int64_t out[3]) {
    int64_t least = AK_NO_CAP, second = now_ms / 1000, bucket = second % AK_BUCKETS;
    out[0] = out[1] = out[2] = 0;
    for (int i = 0; i < group->window_count; i++) {
        const ak_window *window = &group->windows[i];
        int64_t cap = what ? window->tokens : window->requests, newest = 0, left;
        if (cap >= AK_NO_CAP) continue;
        if (ak_get(words, window->at) == second) {
            newest = ak_get(words, (what ? window->tokens_first : window->requests_first) + bucket);
            left = cap - ak_get(words, what ? window->tokens_past : window->requests_past) - newest;
        } else
            left = cap - ak_counted(words, window->at, what, second);
        if (left >= least) continue;
        least = left;
        out[0] = cap;
        out[1] = left > 0 ? left : 0;
        out[2] = newest ? (second + AK_BUCKETS) * 1000 - now_ms : ak_empty_in_ms(words, window->at, what, now_ms);
    }
}

static void ak_stand(const ak_door *door, const ak_group *group, int64_t now_ns, ak_standing *out) {
    ak_tightest(door->words, group, 0, now_ns / 1000000, out->requests);
    ak_tightest(door->words, group, 1, now_ns / 1000000, out->tokens);
}

#endif
