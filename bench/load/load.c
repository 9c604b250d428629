/*
 * The load, compiled: says prepared bytes on many sockets, and compares every byte that comes back
 * with what must come back.
 *
 * A lane is an author and those who must hear what it says. It keeps a number of messages in
 * flight (one is in flight until all have heard it), or says one whenever its time has come. The
 * connections are opened, introduced and closed by Python (bench/load/native.py), which also reads
 * the result; here is only the part that has to be faster than any server.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    CHUNK = 256 * 1024,  /* bytes read at once */
    EVENTS = 1024,       /* sockets looked at in one round */
    BUCKETS = 2048,      /* of the histogram, see bucket() */
    EXCERPT = 200        /* bytes kept of a wrong answer */
};

/* Messages of `length` bytes laid end to end twice, so that up to `period` bytes from any place in
 * the first half lie in one piece. Where `mask` is given, only bits that are set in it count. */
struct tape {
    const unsigned char *bytes, *mask;
    int64_t period, length;
};

struct lane {
    int speaker;                /* index of the author's end */
    struct tape says;
    int64_t window, batch;      /* messages in flight at most; said together at least */
    int64_t interval;           /* ns between two messages, or 0: as fast as the window allows */
    int64_t due;                /* ns, when the first message is due, if there is an interval */
    int64_t said, sent, done;   /* messages due, bytes sent, messages that all have heard */
    int64_t *began;             /* when each message in flight was said, or was due; a ring */
    int64_t *standing;          /* how many listeners have heard how many messages; a ring */
    int is_touched;
};

struct end {
    int fd, lane;
    int counts;                 /* whether what it hears is a delivery */
    int64_t position;           /* bytes heard */
    struct tape hears;          /* length 0: nothing must come */
};

struct fault {
    int end, error;             /* errno, 0 if it hung up, -1 if it said something wrong */
    int64_t position;
    int32_t size;
    unsigned char heard[EXCERPT];
};

struct load {
    struct end *ends;
    struct lane *lanes;
    int end_count, lane_count, epoll, touched_count, is_paced, is_finishing;
    int *touched;
    int64_t delivered;
    int64_t histogram[BUCKETS];
    struct fault fault;
    struct epoll_event events[EVENTS];
    unsigned char chunk[CHUNK];
};

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

/* Thirty-two buckets for each power of two: what falls in one differs by 3 % at most. */
static int bucket(int64_t ns)
{
    if (ns < 32)
        return ns < 0 ? 0 : (int)ns;
    int power = 63 - __builtin_clzll((uint64_t)ns);
    return (power - 4) * 32 + (int)((ns >> (power - 5)) & 31);
}

void load_free(struct load *load)
{
    for (int i = 0; i < load->lane_count; i++) {
        free(load->lanes[i].began);
        free(load->lanes[i].standing);
    }
    close(load->epoll);
    free(load->ends);
    free(load->lanes);
    free(load->touched);
    free(load);
}

struct load *load_new(int ends, int lanes)
{
    struct load *load = calloc(1, sizeof *load);
    load->ends = calloc((size_t)ends, sizeof *load->ends);
    load->lanes = calloc((size_t)lanes, sizeof *load->lanes);
    load->touched = calloc((size_t)lanes, sizeof *load->touched);
    load->epoll = epoll_create1(EPOLL_CLOEXEC);
    return load;
}

/* Add a socket that hears `tape`, or must hear nothing if its length is 0; return its index. */
int load_end(struct load *load, int fd, int lane, int counts, struct tape hears)
{
    int index = load->end_count++;
    load->ends[index] = (struct end){.fd = fd, .lane = lane, .counts = counts, .hears = hears};
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.u32 = (uint32_t)index};
    return epoll_ctl(load->epoll, EPOLL_CTL_ADD, fd, &event) ? -errno : index;
}

/* Say on which end a new lane speaks; `listeners` ends count its deliveries. */
void load_lane(struct load *load, int speaker, struct tape says, int64_t listeners, int64_t window,
               int64_t batch, int64_t interval)
{
    struct lane *lane = &load->lanes[load->lane_count++];
    *lane = (struct lane){.speaker = speaker, .says = says, .window = window, .batch = batch,
                          .interval = interval};
    lane->began = calloc((size_t)window + 1, sizeof *lane->began);
    lane->standing = calloc((size_t)window + 1, sizeof *lane->standing);
    lane->standing[0] = listeners;
    load->is_paced = interval > 0;  /* all lanes are, or none */
}

static int fail(struct load *load, const struct end *end, int error, int64_t size)
{
    struct fault *fault = &load->fault;
    fault->end = (int)(end - load->ends);
    fault->error = error;
    fault->position = end->position;
    fault->size = (int32_t)(size < EXCERPT ? size : EXCERPT);
    if (size > 0)
        memcpy(fault->heard, load->chunk, (size_t)fault->size);
    return -1;
}

static void touch(struct load *load, int number)
{
    if (!load->lanes[number].is_touched) {
        load->lanes[number].is_touched = 1;
        load->touched[load->touched_count++] = number;
    }
}

static int is_on_tape(const struct tape *tape, int64_t position, const unsigned char *heard,
                      int64_t size)
{
    while (size) {
        int64_t start = position % tape->period;
        int64_t piece = size < tape->period ? size : tape->period;
        const unsigned char *expected = tape->bytes + start;
        if (tape->mask) {
            const unsigned char *mask = tape->mask + start;
            unsigned char wrong = 0;
            for (int64_t i = 0; i < piece; i++)
                wrong |= (unsigned char)((heard[i] ^ expected[i]) & mask[i]);
            if (wrong)
                return 0;
        } else if (memcmp(heard, expected, (size_t)piece))
            return 0;
        heard += piece;
        position += piece;
        size -= piece;
    }
    return 1;
}

/* Note that a listener has heard messages number `before` to `after` - 1 of its lane. */
static void advance(struct load *load, struct lane *lane, int64_t before, int64_t after)
{
    int64_t places = lane->window + 1, now = now_ns();
    for (int64_t number = before; number < after; number++)
        load->histogram[bucket(now - lane->began[number % places])]++;
    load->delivered += after - before;
    lane->standing[before % places]--;
    lane->standing[after % places]++;
    while (lane->done < lane->said && !lane->standing[lane->done % places])
        lane->done++;
}

static int hear(struct load *load, struct end *end)
{
    ssize_t size;
    do {
        size = recv(end->fd, load->chunk, CHUNK, MSG_DONTWAIT);
        if (size < 0)
            return errno == EAGAIN ? 0 : fail(load, end, errno, 0);
        if (size == 0)
            return fail(load, end, 0, 0);
        struct lane *lane = &load->lanes[end->lane];
        /* More than was said cannot be right, however right it looks. */
        if (!end->hears.length || end->position + size > lane->said * end->hears.length ||
            !is_on_tape(&end->hears, end->position, load->chunk, size))
            return fail(load, end, -1, size);
        int64_t before = end->position / end->hears.length;
        end->position += size;
        int64_t after = end->position / end->hears.length;
        if (end->counts && after > before) {
            advance(load, lane, before, after);
            touch(load, end->lane);
        }
    } while (size == CHUNK);  /* edge-triggered: what is left now would not be told again */
    return 0;
}

/* Say what the window has room for or the time has come for, and send what is not yet sent. */
static int speak(struct load *load, struct lane *lane)
{
    int64_t now = now_ns(), room = lane->window - (lane->said - lane->done);
    if (lane->interval) {
        if (!lane->due)
            lane->due = now;
        int64_t due = (now - lane->due) / lane->interval + 1 - lane->said;
        room = due < room ? due : room;
    }
    if (load->is_finishing || room < lane->batch)
        room = 0;
    for (room -= room % lane->batch; room > 0; room--, lane->said++)
        lane->began[lane->said % (lane->window + 1)] =
            lane->interval ? lane->due + lane->said * lane->interval : now;
    int64_t goal = lane->said * lane->says.length;
    struct end *author = &load->ends[lane->speaker];
    while (lane->sent < goal) {
        int64_t piece = goal - lane->sent;
        piece = piece < lane->says.period ? piece : lane->says.period;
        const unsigned char *from = lane->says.bytes + lane->sent % lane->says.period;
        ssize_t taken = send(author->fd, from, (size_t)piece, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (taken < 0)
            return errno == EAGAIN ? 0 : fail(load, author, errno, 0);
        lane->sent += taken;
    }
    return 0;
}

static int64_t next_due(const struct load *load, int64_t end)
{
    for (int i = 0; i < load->lane_count && load->is_paced && !load->is_finishing; i++) {
        const struct lane *lane = &load->lanes[i];
        int64_t due = lane->due + lane->said * lane->interval;
        if (lane->said - lane->done < lane->window && due < end)
            end = due;
    }
    return end;
}

static int is_over(const struct load *load)
{
    for (int i = 0; i < load->lane_count; i++)
        if (load->lanes[i].done < load->lanes[i].said)
            return 0;
    for (int i = 0; i < load->end_count; i++) {
        const struct end *end = &load->ends[i];
        if (end->position < load->lanes[end->lane].said * end->hears.length)
            return 0;
    }
    return 1;
}

static int64_t run(struct load *load, int64_t duration)
{
    int64_t end = now_ns() + duration, before = load->delivered, now;
    for (int i = 0; i < load->lane_count; i++)
        touch(load, i);
    while ((now = now_ns()) < end && !(load->is_finishing && is_over(load))) {
        int64_t due = next_due(load, end);
        int64_t wait = load->touched_count || due <= now ? 0 : due - now;
        struct timespec timeout = {wait / 1000000000, wait % 1000000000};
        int ready = epoll_pwait2(load->epoll, load->events, EVENTS, &timeout, NULL);
        for (int i = 0; i < ready; i++) {
            struct end *one = &load->ends[load->events[i].data.u32];
            if (load->events[i].events & EPOLLOUT && load->lanes[one->lane].speaker == one - load->ends)
                touch(load, one->lane);
            if (load->events[i].events & ~(uint32_t)EPOLLOUT && hear(load, one))
                return -1;
        }
        for (int i = 0; i < load->lane_count && load->is_paced; i++)
            touch(load, i);
        for (int i = 0; i < load->touched_count; i++) {
            load->lanes[load->touched[i]].is_touched = 0;
            if (speak(load, &load->lanes[load->touched[i]]))
                return -1;
        }
        load->touched_count = 0;
    }
    return load->delivered - before;
}

/* Load the server for `duration` ns; return deliveries, or -1: then load_fault() tells more. */
int64_t load_run(struct load *load, int64_t duration)
{
    load->is_finishing = 0;
    return run(load, duration);
}

/* Say no more; hear what is still to come. Return 1 when all was heard, 0 after `duration` ns
 * (then some is missing), or -1. */
int load_finish(struct load *load, int64_t duration)
{
    load->is_finishing = 1;
    return run(load, duration) < 0 ? -1 : is_over(load);
}

const struct fault *load_fault(const struct load *load)
{
    return &load->fault;
}

/* The histogram of how long (ns) deliveries took; the caller may set it to zero. */
int64_t *load_histogram(struct load *load)
{
    return load->histogram;
}
