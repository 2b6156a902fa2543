/* A mock LLM server far faster than any client, with its own log of the truth.
 *
 * One thread, epoll, keep-alive; HTTP/1.1 requests with Content-Length only; no pipelining.
 *   /delay/MS              a small JSON answer after MS milliseconds
 *   /v1/chat/completions   with "stream":true in the body: server-sent events, the first token after
 *                          --ttft-ms, then one each --gap-ms until --tokens; else whole, after
 *                          --delay-ms
 *   anything else          a small JSON answer after --delay-ms
 * --stall-at S --stall-for S: S seconds after the first request the server does nothing for a while.
 * --log FILE: at SIGTERM, five little-endian doubles a request: CLOCK_MONOTONIC seconds (as Python's
 * time.perf_counter on Linux) at which it had come, its first token, its last token and its end were
 * written, and the number of its tokens. Prints "listening on URL" when ready.
 *
 * When a request came is the kernel's stamp of its last byte, which does not wait until this process
 * runs: what keeps the server from noticing a request is part of the server's time.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { REQUEST_MAX = 1 << 20, EVENTS = 512, TOKENS_MAX = 4096 };

typedef struct {
    double arrived, first, last, end, tokens;
} Truth;

typedef struct {
    int fd, slot; /* slot: place in the heap of timers, -1 for none */
    int streaming, sent_tokens;
    double due;
    Truth truth;
    char *in, *out;
    size_t have, room, out_have;
} Conn;

static double ahead; /* CLOCK_REALTIME, which stamps are of, before CLOCK_MONOTONIC */
static double ttft = .05, gap = .01, delay, stall_at = -1, stall_for, first_request = -1;
static int tokens = 64, poller;
static Conn **heap;
static int timers, heap_room;
static Truth *truths;
static size_t truth_count, truth_room;
static const char *log_path;
static volatile sig_atomic_t stopping;

static char whole[512], plain[256], head[512], token[512], tail[1024];
static size_t whole_len, plain_len, head_len, token_len, tail_len;

static double seconds(struct timespec t) {
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return seconds(t);
}

static void compare_clocks(void) {
    double least = 1;
    for (int i = 0; i < 5; i++) { /* the best of some, since this may be interrupted */
        struct timespec t;
        double before = now();
        clock_gettime(CLOCK_REALTIME, &t);
        double took = now() - before;
        if (took < least) least = took, ahead = seconds(t) - before - took / 2;
    }
}

static void *need(void *memory) {
    if (!memory) {
        fputs("mock_server: out of memory\n", stderr);
        exit(1);
    }
    return memory;
}

/* --- timers: a binary heap --- */

static void place(Conn *c, int i) {
    heap[i] = c;
    c->slot = i;
}

static void sift(int i) {
    Conn *c = heap[i];
    while (i > 0 && c->due < heap[(i - 1) / 2]->due) {
        place(heap[(i - 1) / 2], i);
        i = (i - 1) / 2;
    }
    for (;;) {
        int child = 2 * i + 1;
        if (child + 1 < timers && heap[child + 1]->due < heap[child]->due) child++;
        if (child >= timers || heap[child]->due >= c->due) break;
        place(heap[child], i);
        i = child;
    }
    place(c, i);
}

static void arm(Conn *c, double due) {
    c->due = due;
    if (c->slot < 0) {
        if (timers == heap_room)
            heap = need(realloc(heap, sizeof *heap * (size_t)(heap_room = heap_room * 2 + 64)));
        place(c, timers++);
    }
    sift(c->slot);
}

static void disarm(Conn *c) {
    int i = c->slot;
    if (i < 0) return;
    c->slot = -1;
    if (i == --timers) return;
    place(heap[timers], i);
    sift(i);
}

/* --- connections --- */

static void drop(Conn *c) {
    disarm(c);
    close(c->fd);
    free(c->in);
    free(c->out);
    free(c);
}

/* 0: the client has gone and c with it. What the socket does not take waits for EPOLLOUT. */
static int put(Conn *c, const char *data, size_t size) {
    ssize_t gone = 0;
    if (!c->out_have) {
        gone = send(c->fd, data, size, MSG_NOSIGNAL);
        if (gone < 0 && errno != EAGAIN) return drop(c), 0;
        if (gone < 0) gone = 0;
        if ((size_t)gone == size) return 1;
        struct epoll_event e = {.events = EPOLLIN | EPOLLOUT, .data.ptr = c};
        epoll_ctl(poller, EPOLL_CTL_MOD, c->fd, &e);
    }
    size_t rest = size - (size_t)gone;
    c->out = need(realloc(c->out, c->out_have + rest));
    memcpy(c->out + c->out_have, data + gone, rest);
    c->out_have += rest;
    return 1;
}

static int flush(Conn *c) {
    ssize_t gone = send(c->fd, c->out, c->out_have, MSG_NOSIGNAL);
    if (gone < 0) return errno == EAGAIN ? 1 : (drop(c), 0);
    c->out_have -= (size_t)gone;
    memmove(c->out, c->out + gone, c->out_have);
    if (!c->out_have) {
        struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
        epoll_ctl(poller, EPOLL_CTL_MOD, c->fd, &e);
    }
    return 1;
}

static void finished(Conn *c) {
    if (!log_path) return;
    if (truth_count == truth_room)
        truths = need(realloc(truths, sizeof *truths * (truth_room = truth_room * 2 + 4096)));
    truths[truth_count++] = c->truth;
}

static int answer(Conn *c, int chat) {
    c->truth.first = c->truth.last = c->truth.end = now();
    finished(c);
    return chat ? put(c, whole, whole_len) : put(c, plain, plain_len);
}

/* The next token of a stream; the first comes with the head, the last with the end. */
static int step(Conn *c) {
    char data[sizeof head + sizeof token + sizeof tail];
    size_t size = 0;
    double moment = now();
    if (!c->sent_tokens) {
        memcpy(data, head, head_len), size += head_len;
        c->truth.first = moment;
    }
    memcpy(data + size, token, token_len), size += token_len;
    c->sent_tokens++;
    if (c->sent_tokens < tokens) {
        arm(c, c->truth.arrived + ttft + gap * c->sent_tokens);
    } else {
        memcpy(data + size, tail, tail_len), size += tail_len;
        c->truth.last = c->truth.end = moment;
        c->truth.tokens = tokens;
        disarm(c);
        c->streaming = 0;
        finished(c);
    }
    return put(c, data, size);
}

static int due(Conn *c) {
    if (c->streaming == 1) return step(c);
    int chat = c->streaming == 2;
    c->streaming = 0;
    disarm(c);
    return answer(c, chat);
}

/* One complete request of `size` bytes at c->in. */
static int serve(Conn *c, const char *body, size_t body_size, double arrived) {
    c->truth = (Truth){.arrived = arrived};
    if (first_request < 0) first_request = c->truth.arrived;
    char *path = memchr(c->in, ' ', c->have);
    int chat = path && !strncmp(path, " /v1/chat/completions", 21);
    if (chat && (memmem(body, body_size, "\"stream\":true", 13) ||
                 memmem(body, body_size, "\"stream\": true", 14))) {
        c->streaming = 1;
        c->sent_tokens = 0;
        if (ttft <= 0) return step(c);
        arm(c, c->truth.arrived + ttft);
        return 1;
    }
    double wait = path && !strncmp(path, " /delay/", 8) ? atof(path + 8) / 1e3 : delay;
    if (wait <= 0) return answer(c, chat);
    c->streaming = chat ? 2 : 3; /* whole answers that wait */
    arm(c, c->truth.arrived + wait);
    return 1;
}

static int receive(Conn *c) {
    if (c->room - c->have < 4096) {
        if (c->room >= REQUEST_MAX) return drop(c), 0;
        c->in = need(realloc(c->in, (c->room = c->room * 2 + 8192) + 1));
    }
    struct iovec to = {c->in + c->have, c->room - c->have};
    union { /* aligned */
        struct cmsghdr head;
        char room[CMSG_SPACE(sizeof(struct timespec))];
    } control;
    struct msghdr message = {.msg_iov = &to, .msg_iovlen = 1, .msg_control = &control,
                             .msg_controllen = sizeof control};
    ssize_t got = recvmsg(c->fd, &message, 0);
    if (got < 0 && errno == EAGAIN) return 1;
    if (got <= 0) return drop(c), 0;
    c->have += (size_t)got;
    c->in[c->have] = 0;
    char *end = memmem(c->in, c->have, "\r\n\r\n", 4);
    if (!end) return 1;
    size_t head_size = (size_t)(end - c->in) + 4, body_size = 0;
    char *length = strcasestr(c->in, "\r\ncontent-length:");
    if (length && length < end) body_size = strtoul(length + 17, NULL, 10);
    if (c->have < head_size + body_size) return 1;
    double arrived = now();
    struct cmsghdr *stamp = CMSG_FIRSTHDR(&message);
    if (stamp && stamp->cmsg_level == SOL_SOCKET && stamp->cmsg_type == SO_TIMESTAMPNS) { /* not yet when the kernel begins to stamp */
        struct timespec t;
        memcpy(&t, CMSG_DATA(stamp), sizeof t);
        double came = seconds(t) - ahead;
        if (came < arrived) arrived = came;
    }
    int alive = serve(c, c->in + head_size, body_size, arrived);
    if (alive) c->have = 0;
    return alive;
}

static void take(int listener) {
    for (;;) {
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) return;
        int one = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        Conn *c = need(calloc(1, sizeof *c));
        c->fd = fd;
        c->slot = -1;
        struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
        epoll_ctl(poller, EPOLL_CTL_ADD, fd, &e);
    }
}

/* --- the fixed answers --- */

static size_t chunk(char *to, size_t room, const char *event) {
    return (size_t)snprintf(to, room, "%zx\r\n%s\r\n", strlen(event), event);
}

static void prepare(void) {
    char body[512];
#define ENVELOPE "{\"id\":\"chatcmpl-mock\",\"object\":\"chat.completion.chunk\",\"created\":1750000000,\"model\":\"mock\",\"choices\":"
    const char *small = "{\"ok\":true}";
    plain_len = (size_t)snprintf(plain, sizeof plain,
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
        strlen(small), small);
    snprintf(body, sizeof body,
        "{\"id\":\"chatcmpl-mock\",\"object\":\"chat.completion\",\"model\":\"mock\",\"choices\":[{\"index\":0,"
        "\"message\":{\"role\":\"assistant\",\"content\":\"done\"},\"finish_reason\":\"stop\"}],"
        "\"usage\":{\"prompt_tokens\":8,\"completion_tokens\":%d,\"total_tokens\":%d}}", tokens, tokens + 8);
    whole_len = (size_t)snprintf(whole, sizeof whole,
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
        strlen(body), body);
    head_len = (size_t)snprintf(head, sizeof head,
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n");
    head_len += chunk(head + head_len, sizeof head - head_len, "data: " ENVELOPE
        "[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"finish_reason\":null}]}\n\n");
    token_len = chunk(token, sizeof token, "data: " ENVELOPE
        "[{\"index\":0,\"delta\":{\"content\":\" word\"},\"finish_reason\":null}]}\n\n");
    tail_len = chunk(tail, sizeof tail, "data: " ENVELOPE
        "[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n");
    snprintf(body, sizeof body, "data: " ENVELOPE
        "[],\"usage\":{\"prompt_tokens\":8,\"completion_tokens\":%d,\"total_tokens\":%d}}\n\n",
        tokens, tokens + 8);
    tail_len += chunk(tail + tail_len, sizeof tail - tail_len, body);
    tail_len += chunk(tail + tail_len, sizeof tail - tail_len, "data: [DONE]\n\n");
    tail_len += (size_t)snprintf(tail + tail_len, sizeof tail - tail_len, "0\r\n\r\n");
}

static void stop(int signal) {
    (void)signal;
    stopping = 1;
}

int main(int argc, char **argv) {
    int port = 0;
    for (int i = 1; i + 1 < argc; i += 2) {
        const char *value = argv[i + 1];
        if (!strcmp(argv[i], "--port")) port = atoi(value);
        else if (!strcmp(argv[i], "--ttft-ms")) ttft = atof(value) / 1e3;
        else if (!strcmp(argv[i], "--gap-ms")) gap = atof(value) / 1e3;
        else if (!strcmp(argv[i], "--delay-ms")) delay = atof(value) / 1e3;
        else if (!strcmp(argv[i], "--tokens")) tokens = atoi(value);
        else if (!strcmp(argv[i], "--stall-at")) stall_at = atof(value);
        else if (!strcmp(argv[i], "--stall-for")) stall_for = atof(value);
        else if (!strcmp(argv[i], "--log")) log_path = value;
        else return fprintf(stderr, "mock_server: %s: no such option\n", argv[i]), 2;
    }
    if (argc % 2 == 0 || tokens < 1 || tokens > TOKENS_MAX)
        return fputs("mock_server: every option takes a value; --tokens 1 to 4096\n", stderr), 2;
    prepare();
    struct sigaction quit = {.sa_handler = stop};
    sigaction(SIGTERM, &quit, NULL);
    sigaction(SIGINT, &quit, NULL);
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);

    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    setsockopt(listener, SOL_SOCKET, SO_TIMESTAMPNS, &one, sizeof one); /* and what it accepts */
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    if (bind(listener, (void *)&address, size) || listen(listener, 65535) ||
        getsockname(listener, (void *)&address, &size))
        return perror("mock_server: listen"), 1;
    poller = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event own = {.events = EPOLLIN, .data.ptr = NULL}, events[EVENTS];
    epoll_ctl(poller, EPOLL_CTL_ADD, listener, &own);
    printf("listening on http://127.0.0.1:%d\n", ntohs(address.sin_port));
    fflush(stdout);

    for (double compared = 0; !stopping;) {
        struct timespec wait, *limit = NULL;
        if (timers) {
            double left = heap[0]->due - now();
            if (left < 0) left = 0;
            wait.tv_sec = (time_t)left;
            wait.tv_nsec = (long)((left - (double)wait.tv_sec) * 1e9);
            limit = &wait;
        }
        int count = epoll_pwait2(poller, events, EVENTS, limit, NULL);
        if (stall_at >= 0 && first_request >= 0 && now() >= first_request + stall_at) {
            struct timespec pause = {(time_t)stall_for,
                                     (long)((stall_for - (double)(time_t)stall_for) * 1e9)};
            nanosleep(&pause, NULL);
            stall_at = -1;
        }
        if (now() > compared + .1) compare_clocks(), compared = now();
        for (int i = 0; i < count; i++) {
            Conn *c = events[i].data.ptr;
            if (!c) take(listener);
            else if ((events[i].events & EPOLLOUT) && !flush(c)) continue;
            else if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) receive(c);
        }
        double moment = now();
        while (timers && heap[0]->due <= moment) due(heap[0]);
    }
    if (log_path) {
        FILE *file = fopen(log_path, "wb");
        if (!file || fwrite(truths, sizeof *truths, truth_count, file) != truth_count || fclose(file))
            return perror("mock_server: log"), 1;
    }
    return 0;
}
