/* Tells the chunks of streams that bear a token by the bytes around its text, stamps and counts them.
 * What it does not tell is left to the parsers, and so is what follows that on its connection.
 * It has no memory of its own: spotting.py owns the rows, and has the same layouts.
 */
#include <math.h>
#include <stdint.h>
#include <string.h>

enum {
    HELD = 64,    /* chunks that a row counts until it is settled */
    BEFORE = 448, /* bytes around a token's text at most */
    AFTER = 64,
    SEATS = 1 << 20, /* a key is a number that no other has, and below it the place of the row */
    SIZE_DIGITS = 8,
    STAMPED = 4, /* of io_uring's pieces, see ring.py */
    STAMP = 32,
    HEAD = 48,
    STRIDE = 16496,
    MORE = 2,
    SPACE = 0x20
};

typedef struct { /* a connection */
    int64_t key; /* 0: it expects no chunks */
    double last; /* when its latest token came */
    int64_t size; /* of the events that were counted */
    int64_t seen, left; /* numbers of the latest turns with a read of it, and with one that was left */
    int32_t count, into, over;
    float gaps[HELD];
    unsigned char before[BEFORE], after[AFTER];
} Row;

typedef struct {
    int64_t key;
    int32_t result;
    uint32_t flags;
} Entry;

typedef struct { /* seconds and nanoseconds since 1970 */
    int64_t s, ns;
} Stamp;

typedef struct { /* where an event that was counted lies, in which of the reads */
    int64_t key, read, start, end;
} Event;

typedef struct {
    Row *rows;
    int64_t seats;
    double ahead, now; /* the stamps' clock is that much ahead of that of now */
    double late;       /* chunks of one read that came after it may have come apart */
    int64_t turn;
    double newest; /* 0, or when the latest came that was counted and its connection's first */
    int64_t merged; /* chunks whose own moments are not known */
    int64_t counted, room; /* how many events there are, and may be */
    Event *events;         /* NULL: where they are is not asked */
} Turn;

#ifndef SOURCE
#define SOURCE 0
#endif

/* Of which spot.c this was made, and what spotting.py must know it by. */
const int64_t layout[] = {SOURCE, sizeof(Row), sizeof(Turn), sizeof(Event), HELD, BEFORE, AFTER,
                          SEATS,  STAMPED,     STAMP,        HEAD,          STRIDE, MORE};

static int hex(unsigned char c) {
    if (c >= '0' && c <= '9') return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Where the event begins in bytes that begin with one whole chunk with one token, whose length it
 * sets; 0: they do not.
 */
static int64_t event_in(const Row *row, const unsigned char *data, int64_t length, int64_t *whole) {
    int64_t size = 0, at = 0;
    for (int digit; at < length && (digit = hex(data[at])) >= 0; at++) {
        if (at == SIZE_DIGITS) return 0;
        size = size * 16 + digit;
    }
    if (!at || length - at < 4 || data[at] != '\r' || data[at + 1] != '\n') return 0;
    at += 2;
    if (size + 2 > length - at || size + 2 <= row->into + row->over) return 0;
    *whole = at + size + 2;
    const unsigned char *text = data + at + row->into, *end = data + *whole - row->over;
    if (memcmp(data + at, row->before, (size_t)row->into)) return 0;
    if (memcmp(end, row->after, (size_t)row->over) || *text == *end) return 0;
    for (; text < end; text++)
        if (*text < SPACE) return 0; /* a line may end */
    return at;
}

/* Counts the chunks of a read, or says 0. It lies at base + start; stamp NULL: it has none. */
static int spot(Turn *turn, int64_t key, int64_t read, const unsigned char *base, int64_t start,
                 int64_t length, const Stamp *stamp) {
    int64_t seat = key & (SEATS - 1);
    if (key <= 0 || seat >= turn->seats) return 0;
    Row *row = turn->rows + seat;
    if (row->key != key) return 0;
    int first = row->seen != turn->turn;
    row->seen = turn->turn;
    int64_t begins[HELD], ends[HELD], number = 0, most = HELD - row->count, at = 0, whole;
    if (turn->events && most > turn->room - turn->counted) most = turn->room - turn->counted;
    if (!stamp || row->left == turn->turn) most = 0;
    for (; at < length && number < most; at += whole, number++) {
        int64_t begin = event_in(row, base + start + at, length - at, &whole);
        if (!begin) break;
        begins[number] = start + at + begin;
        ends[number] = start + at + whole - 2;
    }
    if (at < length || !number) {
        row->left = turn->turn;
        return 0;
    }
    double came = (double)stamp->s + (double)stamp->ns * 1e-9 - turn->ahead;
    /* The two clocks are compared to some microseconds only. */
    if (came > turn->now) came = turn->now;
    if (came < row->last) came = row->last;
    int lost = number > 1 && came > turn->late;
    if (lost) turn->merged += number - 1;
    for (int64_t i = 0; i < number; i++) {
        row->gaps[row->count++] = lost ? NAN : (float)(came - row->last);
        row->last = came;
        row->size += ends[i] - begins[i];
        if (turn->events) turn->events[turn->counted] = (Event){key, read, begins[i], ends[i]};
        turn->counted++;
    }
    if (first) turn->newest = came;
    return 1;
}

/* Entries of the ring, whose pieces lie in memory. Writes the places of those that were left. */
int32_t spot_entries(Turn *turn, const Entry *entries, int32_t number, const unsigned char *memory,
                     int32_t *left) {
    int32_t others = 0;
    for (int32_t i = 0; i < number; i++) {
        const Entry *entry = entries + i;
        int64_t head = (int64_t)(entry->flags >> 16) * STRIDE;
        Stamp stamp;
        int whole = entry->result > HEAD && entry->flags & MORE && memory[head + STAMPED];
        if (whole) memcpy(&stamp, memory + head + STAMP, sizeof stamp);
        if (!spot(turn, entry->key, i, memory, head + HEAD, entry->result - HEAD,
                   whole ? &stamp : NULL))
            left[others++] = i;
    }
    return others;
}

/* Reads, each by itself; a stamp of 0 s is none. */
int32_t spot_reads(Turn *turn, const int64_t *keys, const unsigned char *const *reads,
                   const int64_t *lengths, const Stamp *stamps, int32_t number, int32_t *left) {
    int32_t others = 0;
    for (int32_t i = 0; i < number; i++)
        if (!spot(turn, keys[i], i, reads[i], 0, lengths[i], stamps[i].s ? stamps + i : NULL))
            left[others++] = i;
    return others;
}
