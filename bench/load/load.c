/*
 * The load, compiled: sends prepared bytes on many sockets, and compares every byte that comes back
 * with what must come back.
 *
 * A flow is an author and those who must receive what it sends. It keeps a number of messages in
 * flight (one is in flight until all have received it), or sends one whenever its time has come. The
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
struct pattern {
    const unsigned char *bytes, *mask;
    int64_t period, length;
};

struct flow {
    int sender;                 /* index of the author's end */
    struct pattern sends;
    int64_t window, batch;      /* messages in flight at most; sent together at least */
    int64_t interval;           /* ns between two messages, or 0: as fast as the window allows */
    int64_t due;                /* ns, when the first message is due, if there is an interval */
    int64_t queued, sent, done; /* messages queued, bytes sent, messages that all have received */
    int64_t *began;             /* when each message in flight was queued, or was due; a ring */
    int64_t *received_by;       /* how many receivers have received how many messages; a ring */
    int is_touched;
};

struct end {
    int fd, flow;
    int counts;                 /* whether what it receives is a delivery */
    int64_t position;           /* bytes received */
    struct pattern expects;     /* length 0: nothing must come */
};

struct error_info {
    int end, error;             /* errno, 0 at end of stream, -1 for a wrong byte */
    int64_t position;
    int32_t size;
    unsigned char received[EXCERPT];
};

struct load {
    struct end *ends;
    struct flow *flows;
    int end_count, flow_count, epoll, touched_count, is_paced, is_finishing;
    int *touched;
    int64_t delivered;
    int64_t histogram[BUCKETS];
    struct error_info error_info;
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
    for (int i = 0; i < load->flow_count; i++) {
        free(load->flows[i].began);
        free(load->flows[i].received_by);
    }
    close(load->epoll);
    free(load->ends);
    free(load->flows);
    free(load->touched);
    free(load);
}

struct load *load_new(int ends, int flows)
{
    struct load *load = calloc(1, sizeof *load);
    load->ends = calloc((size_t)ends, sizeof *load->ends);
    load->flows = calloc((size_t)flows, sizeof *load->flows);
    load->touched = calloc((size_t)flows, sizeof *load->touched);
    load->epoll = epoll_create1(EPOLL_CLOEXEC);
    return load;
}

/* Add a socket that must receive `expects`, or nothing if its length is 0; return its index. */
int load_add_endpoint(struct load *load, int fd, int flow, int counts, struct pattern expects)
{
    int index = load->end_count++;
    load->ends[index] = (struct end){.fd = fd, .flow = flow, .counts = counts, .expects = expects};
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.u32 = (uint32_t)index};
    return epoll_ctl(load->epoll, EPOLL_CTL_ADD, fd, &event) ? -errno : index;
}

/* Add a flow whose author is the end `sender`; `receivers` ends count its deliveries. */
void load_add_flow(struct load *load, int sender, struct pattern sends, int64_t receivers,
                   int64_t window, int64_t batch, int64_t interval)
{
    struct flow *flow = &load->flows[load->flow_count++];
    *flow = (struct flow){.sender = sender, .sends = sends, .window = window, .batch = batch,
                          .interval = interval};
    flow->began = calloc((size_t)window + 1, sizeof *flow->began);
    flow->received_by = calloc((size_t)window + 1, sizeof *flow->received_by);
    flow->received_by[0] = receivers;
    load->is_paced = interval > 0;  /* all flows are, or none */
}

static int fail(struct load *load, const struct end *end, int error, int64_t size)
{
    struct error_info *error_info = &load->error_info;
    error_info->end = (int)(end - load->ends);
    error_info->error = error;
    error_info->position = end->position;
    error_info->size = (int32_t)(size < EXCERPT ? size : EXCERPT);
    if (size > 0)
        memcpy(error_info->received, load->chunk, (size_t)error_info->size);
    return -1;
}

static void touch(struct load *load, int number)
{
    if (!load->flows[number].is_touched) {
        load->flows[number].is_touched = 1;
        load->touched[load->touched_count++] = number;
    }
}

static int matches_pattern(const struct pattern *pattern, int64_t position, const unsigned char *received,
                      int64_t size)
{
    while (size) {
        int64_t start = position % pattern->period;
        int64_t piece = size < pattern->period ? size : pattern->period;
        const unsigned char *expected = pattern->bytes + start;
        if (pattern->mask) {
            const unsigned char *mask = pattern->mask + start;
            unsigned char wrong = 0;
            for (int64_t i = 0; i < piece; i++)
                wrong |= (unsigned char)((received[i] ^ expected[i]) & mask[i]);
            if (wrong)
                return 0;
        } else if (memcmp(received, expected, (size_t)piece))
            return 0;
        received += piece;
        position += piece;
        size -= piece;
    }
    return 1;
}

/* Note that a receiver has received messages number `before` to `after` - 1 of its flow. */
static void advance(struct load *load, struct flow *flow, int64_t before, int64_t after)
{
    int64_t places = flow->window + 1, now = now_ns();
    for (int64_t number = before; number < after; number++)
        load->histogram[bucket(now - flow->began[number % places])]++;
    load->delivered += after - before;
    flow->received_by[before % places]--;
    flow->received_by[after % places]++;
    while (flow->done < flow->queued && !flow->received_by[flow->done % places])
        flow->done++;
}

static int receive(struct load *load, struct end *end)
{
    ssize_t size;
    do {
        size = recv(end->fd, load->chunk, CHUNK, MSG_DONTWAIT);
        if (size < 0)
            return errno == EAGAIN ? 0 : fail(load, end, errno, 0);
        if (size == 0)
            return fail(load, end, 0, 0);
        struct flow *flow = &load->flows[end->flow];
        /* More than was queued cannot be right, however right it looks. */
        if (!end->expects.length || end->position + size > flow->queued * end->expects.length ||
            !matches_pattern(&end->expects, end->position, load->chunk, size))
            return fail(load, end, -1, size);
        int64_t before = end->position / end->expects.length;
        end->position += size;
        int64_t after = end->position / end->expects.length;
        if (end->counts && after > before) {
            advance(load, flow, before, after);
            touch(load, end->flow);
        }
    } while (size == CHUNK);  /* edge-triggered: what is left now would not be reported again */
    return 0;
}

/* Queue what the window has room for or what is due, and send what is not yet sent. */
static int send_due(struct load *load, struct flow *flow)
{
    int64_t now = now_ns(), room = flow->window - (flow->queued - flow->done);
    if (flow->interval) {
        if (!flow->due)
            flow->due = now;
        int64_t due = (now - flow->due) / flow->interval + 1 - flow->queued;
        room = due < room ? due : room;
    }
    if (load->is_finishing || room < flow->batch)
        room = 0;
    for (room -= room % flow->batch; room > 0; room--, flow->queued++)
        flow->began[flow->queued % (flow->window + 1)] =
            flow->interval ? flow->due + flow->queued * flow->interval : now;
    int64_t goal = flow->queued * flow->sends.length;
    struct end *author = &load->ends[flow->sender];
    while (flow->sent < goal) {
        int64_t piece = goal - flow->sent;
        piece = piece < flow->sends.period ? piece : flow->sends.period;
        const unsigned char *from = flow->sends.bytes + flow->sent % flow->sends.period;
        ssize_t taken = send(author->fd, from, (size_t)piece, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (taken < 0)
            return errno == EAGAIN ? 0 : fail(load, author, errno, 0);
        flow->sent += taken;
    }
    return 0;
}

static int64_t next_due(const struct load *load, int64_t end)
{
    for (int i = 0; i < load->flow_count && load->is_paced && !load->is_finishing; i++) {
        const struct flow *flow = &load->flows[i];
        int64_t due = flow->due + flow->queued * flow->interval;
        if (flow->queued - flow->done < flow->window && due < end)
            end = due;
    }
    return end;
}

static int is_over(const struct load *load)
{
    for (int i = 0; i < load->flow_count; i++)
        if (load->flows[i].done < load->flows[i].queued)
            return 0;
    for (int i = 0; i < load->end_count; i++) {
        const struct end *end = &load->ends[i];
        if (end->position < load->flows[end->flow].queued * end->expects.length)
            return 0;
    }
    return 1;
}

static int64_t run(struct load *load, int64_t duration)
{
    int64_t end = now_ns() + duration, before = load->delivered, now;
    for (int i = 0; i < load->flow_count; i++)
        touch(load, i);
    while ((now = now_ns()) < end && !(load->is_finishing && is_over(load))) {
        int64_t due = next_due(load, end);
        int64_t wait = load->touched_count || due <= now ? 0 : due - now;
        struct timespec timeout = {wait / 1000000000, wait % 1000000000};
        int ready = epoll_pwait2(load->epoll, load->events, EVENTS, &timeout, NULL);
        for (int i = 0; i < ready; i++) {
            struct end *one = &load->ends[load->events[i].data.u32];
            if (load->events[i].events & EPOLLOUT && load->flows[one->flow].sender == one - load->ends)
                touch(load, one->flow);
            if (load->events[i].events & ~(uint32_t)EPOLLOUT && receive(load, one))
                return -1;
        }
        for (int i = 0; i < load->flow_count && load->is_paced; i++)
            touch(load, i);
        for (int i = 0; i < load->touched_count; i++) {
            load->flows[load->touched[i]].is_touched = 0;
            if (send_due(load, &load->flows[load->touched[i]]))
                return -1;
        }
        load->touched_count = 0;
    }
    return load->delivered - before;
}

/* Load the server for `duration` ns; return deliveries, or -1: then load_error() tells more. */
int64_t load_run(struct load *load, int64_t duration)
{
    load->is_finishing = 0;
    return run(load, duration);
}

/* Send no more; receive what is still to come. Return 1 when all was received, 0 after `duration` ns
 * (then some is missing), or -1. */
int load_finish(struct load *load, int64_t duration)
{
    load->is_finishing = 1;
    return run(load, duration) < 0 ? -1 : is_over(load);
}

const struct error_info *load_error(const struct load *load)
{
    return &load->error_info;
}

/* The histogram of how long (ns) deliveries took; the caller may set it to zero. */
int64_t *load_histogram(struct load *load)
{
    return load->histogram;
}
