/*
 * The C baseline: a server that does nothing but recv() and send().
 *
 * It reads no messages. A chunk that begins with `b` goes to every other connection, one with `d`
 * to the connection that came next after the one that sent it, one with `h` or `p` back to where
 * it came from; any other is the rest of a message and goes where the chunk before it went. What
 * arrives together is sent together. It prints nothing and ends with SIGTERM.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CHUNK = 256 * 1024, EVENTS = 1024, CONNECTIONS = 32 * 1024, BACKLOG = 4096 };

static int connected[CONNECTIONS], count;  /* descriptors, in the order in which they came */
static int next_of[CONNECTIONS];           /* by descriptor: who came next */
static char mode_of[CONNECTIONS];          /* by descriptor: what its last chunk began with */

static void send_all(int fd, const char *bytes, size_t size)
{
    while (size) {
        ssize_t taken = send(fd, bytes, size, MSG_NOSIGNAL);
        if (taken < 0)
            return;
        bytes += taken;
        size -= (size_t)taken;
    }
}

static void forward(int from, const char *bytes, size_t size)
{
    if (strchr("bdhp", bytes[0]))
        mode_of[from] = bytes[0];
    if (mode_of[from] == 'b') {
        for (int i = 0; i < count; i++)
            if (connected[i] != from)
                send_all(connected[i], bytes, size);
    } else
        send_all(mode_of[from] == 'd' ? next_of[from] : from, bytes, size);
}

static void accept_client(int listener, int epoll)
{
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0)
        return;
    if (fd >= CONNECTIONS || count == CONNECTIONS) {
        close(fd);
        return;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
    if (count)
        next_of[connected[count - 1]] = fd;
    connected[count++] = fd;
    mode_of[fd] = 0;
}

static void remove_client(int fd)
{
    int i = 0;
    while (i < count && connected[i] != fd)
        i++;
    if (i < count)
        memmove(&connected[i], &connected[i + 1], (size_t)(--count - i) * sizeof *connected);
    close(fd);
}

int main(int argc, char **argv)
{
    static char chunk[CHUNK];
    static struct epoll_event events[EVENTS];
    if (argc != 2) {
        fprintf(stderr, "usage: c_baseline PORT\n");
        return 2;
    }
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = htons((in_port_t)atoi(argv[1])),
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), epoll = epoll_create1(0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    if (bind(listener, (struct sockaddr *)&here, sizeof here) || listen(listener, BACKLOG)) {
        perror("c_baseline: cannot listen");
        return 1;
    }
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listener};
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        int ready = epoll_wait(epoll, events, EVENTS, -1);
        for (int i = 0; i < ready; i++) {
            int fd = events[i].data.fd;
            if (fd == listener) {
                accept_client(listener, epoll);
                continue;
            }
            ssize_t size = recv(fd, chunk, CHUNK, MSG_DONTWAIT);
            if (size > 0)
                forward(fd, chunk, (size_t)size);
            else if (size == 0 || errno != EAGAIN)
                remove_client(fd);
        }
    }
}
