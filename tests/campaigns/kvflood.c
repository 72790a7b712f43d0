/* kvflood: open-loop SETs over RESP, in phases, by naive clients: each retries what failed, whatever that does to the server.
 *
 * cc -O2 -o kvflood kvflood.c
 * kvflood -e h:p[,h:p...] -p rate:secs[,rate:secs...] [-c conns] [-k keys] [-d bytes] [-T timeout_ms] [-n attempts] [-b pause_ms]
 *
 * Requests come at their rate however slow the answers are, dealt over the connections and pipelined. A client gives an
 * attempt up after `timeout_ms`, and makes another after an error or that, `pause_ms` later, `attempts` in all. One line
 * of JSON for each half second: requests that came, attempts sent, how attempts ended, and, for requests that were done
 * then, the time from their coming to their OK, all attempts together (p50, p99, max in ms); `refused_p50`: how long a
 * -BUSY took. A connection whose peer takes nothing for long drops what cannot be sent (`dropped`). */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define OUT_MAX (1 << 20)
#define IN_MAX (1 << 18)
#define BUCKET_S 0.5

typedef struct { double came, sent; int attempts, over; } job;            /* `over`: the client no longer waits */
typedef struct { uint32_t *at; size_t head, count, room; } queue;         /* of jobs, first in first out */
typedef struct { int fd; char *out, in[IN_MAX]; size_t begin, end, held; queue asked; int wants; } conn;

static job *jobs; static uint32_t jobs_made, jobs_room;
static queue timeouts, retries;
static uint64_t seed = 88172645463325252ull;
static struct { uint64_t came, sent, ok, busy, unavailable, unknown, other, timeout, dropped, failed; } tally;
static float *took, *refused; static size_t tooks, refuseds, took_room, refused_room;

static void die(const char *what) { fprintf(stderr, "kvflood: %s (%s)\n", what, strerror(errno)); exit(1); }
static double now(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec + t.tv_nsec * 1e-9; }
static uint64_t lot(void) { seed ^= seed << 13; seed ^= seed >> 7; return seed ^= seed << 17; }

static void put(queue *q, uint32_t id) {
  if (q->count == q->room) {
    size_t room = q->room ? 2 * q->room : 1024; uint32_t *at = malloc(room * sizeof *at);
    for (size_t i = 0; i < q->count; i++) at[i] = q->at[(q->head + i) % q->room];
    free(q->at); q->at = at; q->head = 0; q->room = room;
  }
  q->at[(q->head + q->count++) % q->room] = id;
}
static uint32_t first(queue *q) { return q->at[q->head]; }
static uint32_t take(queue *q) { uint32_t id = q->at[q->head]; q->head = (q->head + 1) % q->room; q->count--; return id; }

static uint32_t new_job(double came, int attempts) {
  if (jobs_made == jobs_room) jobs = realloc(jobs, (jobs_room = jobs_room ? 2 * jobs_room : 1 << 16) * sizeof *jobs);
  jobs[jobs_made] = (job){came, 0, attempts, 0};
  return jobs_made++;
}
static void note(float **list, size_t *count, size_t *room, double s) {
  if (*count == *room) *list = realloc(*list, (*room = *room ? 2 * *room : 1 << 14) * sizeof **list);
  (*list)[(*count)++] = s * 1e3;
}
static int order(const void *a, const void *b) { float x = *(float *)a, y = *(float *)b; return x < y ? -1 : x > y; }
static double at(float *sorted, size_t count, double q) { return count ? sorted[(size_t)((count - 1) * q)] : 0; }

static void report(double t, int phase) {
  qsort(took, tooks, sizeof *took, order); qsort(refused, refuseds, sizeof *refused, order);
  printf("{\"t\":%.2f,\"phase\":%d,\"came\":%lu,\"sent\":%lu,\"ok\":%lu,\"busy\":%lu,\"unavailable\":%lu,\"unknown\":%lu,"
         "\"other\":%lu,\"timeout\":%lu,\"dropped\":%lu,\"failed\":%lu,\"p50\":%.2f,\"p99\":%.2f,\"max\":%.2f,\"refused_p50\":%.2f}\n",
         t, phase, tally.came, tally.sent, tally.ok, tally.busy, tally.unavailable, tally.unknown, tally.other, tally.timeout,
         tally.dropped, tally.failed, at(took, tooks, .5), at(took, tooks, .99), at(took, tooks, 1), at(refused, refuseds, .5));
  fflush(stdout); memset(&tally, 0, sizeof tally); tooks = refuseds = 0;
}

static void flush(int epoll, conn *c) {
  while (c->begin < c->end) {
    ssize_t n = write(c->fd, c->out + c->begin, c->end - c->begin);
    if (n < 0 && errno == EAGAIN) break;
    if (n <= 0) die("write");
    c->begin += n;
  }
  if (c->begin == c->end) c->begin = c->end = 0;
  int wants = EPOLLIN | (c->end ? EPOLLOUT : 0);
  if (wants != c->wants) {
    struct epoll_event e = {wants, {.ptr = c}}; c->wants = wants; epoll_ctl(epoll, EPOLL_CTL_MOD, c->fd, &e);
  }
}

int main(int count, char **words) {
  char *endpoints = 0, *plan = 0; int conns = 128, keys = 100000, bytes = 100, attempts = 4, option;
  double timeout_s = 3, pause_s = .05;
  while ((option = getopt(count, words, "e:p:c:k:d:T:n:b:")) != -1) switch (option) {
    case 'e': endpoints = strdup(optarg); break;
    case 'p': plan = strdup(optarg); break;
    case 'c': conns = atoi(optarg); break;
    case 'k': keys = atoi(optarg); break;
    case 'd': bytes = atoi(optarg); break;
    case 'T': timeout_s = atof(optarg) / 1e3; break;
    case 'n': attempts = atoi(optarg); break;
    case 'b': pause_s = atof(optarg) / 1e3; break;
    default: return 2;
  }
  if (!endpoints || !plan || bytes < 1 || bytes > 4096) return 2;
  struct sockaddr_in to[16]; int ends = 0, phases = 0; double rates[16], lasts[16];
  for (char *p = strtok(endpoints, ","); p && ends < 16; p = strtok(0, ",")) {
    char *colon = strrchr(p, ':'); *colon = 0; to[ends].sin_family = AF_INET; to[ends].sin_port = htons(atoi(colon + 1));
    inet_pton(AF_INET, p, &to[ends++].sin_addr);
  }
  for (char *p = strtok(plan, ","); p && phases < 16; p = strtok(0, ",")) {
    rates[phases] = atof(p); lasts[phases++] = atof(strchr(p, ':') + 1);
  }
  char *value = malloc(bytes); memset(value, 'v', bytes);
  conn *all = calloc(conns, sizeof *all); int epoll = epoll_create1(0);
  for (int i = 0; i < conns; i++) {
    conn *c = all + i; int one = 1;
    c->fd = socket(AF_INET, SOCK_STREAM, 0); c->out = malloc(OUT_MAX); c->wants = EPOLLIN;
    if (connect(c->fd, (void *)&to[i % ends], sizeof *to)) die("connect");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one); fcntl(c->fd, F_SETFL, O_NONBLOCK);
    struct epoll_event e = {EPOLLIN, {.ptr = c}}; epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &e);
  }
  double start = now(), phase_at = start, due = start, bucket = start; int phase = 0; uint32_t turn = 0;
  struct epoll_event events[256];
  for (;;) {
    double t = now();
    if (t >= bucket + BUCKET_S) { report(bucket - start, phase); bucket += BUCKET_S; }
    while (phase < phases && t >= phase_at + lasts[phase]) { phase_at += lasts[phase++]; due = phase_at; }
    if (phase == phases) break;
    for (;;) {                                                   /* what is due: new requests, and attempts anew */
      uint32_t id;
      if (retries.count && jobs[first(&retries)].sent + pause_s <= t) id = take(&retries);
      else if (due <= t) { id = new_job(due, 1); due += 1 / rates[phase]; tally.came++; }
      else break;
      conn *c = all + turn++ % conns;
      if (OUT_MAX - c->end < (size_t)bytes + 128) { tally.dropped++; continue; }
      char key[32]; int length = sprintf(key, "key:%012d", (int)(lot() % keys));
      c->end += sprintf(c->out + c->end, "*3\r\n$3\r\nSET\r\n$%d\r\n%s\r\n$%d\r\n", length, key, bytes);
      memcpy(c->out + c->end, value, bytes); c->end += bytes; c->out[c->end++] = '\r'; c->out[c->end++] = '\n';
      jobs[id].sent = t; tally.sent++; put(&c->asked, id); put(&timeouts, id);
    }
    for (int i = 0; i < conns; i++) if (all[i].end && !(all[i].wants & EPOLLOUT)) flush(epoll, all + i);
    while (timeouts.count && (jobs[first(&timeouts)].over || jobs[first(&timeouts)].sent + timeout_s <= t)) {
      job *j = jobs + take(&timeouts);
      if (j->over) continue;
      j->over = 1; tally.timeout++;
      double came = j->came; int tried = j->attempts;
      if (tried < attempts) { uint32_t id = new_job(came, tried + 1); jobs[id].sent = t; put(&retries, id); }
      else tally.failed++;
    }
    int ready = epoll_wait(epoll, events, 256, 1); t = now();
    for (int i = 0; i < ready; i++) {
      conn *c = events[i].data.ptr;
      if (events[i].events & EPOLLOUT) flush(epoll, c);
      if (!(events[i].events & ~EPOLLOUT)) continue;
      ssize_t n = read(c->fd, c->in + c->held, IN_MAX - c->held);
      if (n < 0 && errno == EAGAIN) continue;
      if (n <= 0) die("a node hung up");
      c->held += n; size_t done = 0; char *line_end;
      while ((line_end = memchr(c->in + done, '\n', c->held - done))) {
        char *line = c->in + done; uint32_t id = take(&c->asked); int ok = *line == '+';
        done = line_end + 1 - c->in;
        if (jobs[id].over) continue;
        jobs[id].over = 1; double came = jobs[id].came; int tried = jobs[id].attempts;
        if (ok) { tally.ok++; note(&took, &tooks, &took_room, t - came); continue; }
        if (!strncmp(line, "-BUSY", 5)) { tally.busy++; note(&refused, &refuseds, &refused_room, t - jobs[id].sent); }
        else if (!strncmp(line, "-UNAVAILABLE", 12)) tally.unavailable++;
        else if (!strncmp(line, "-UNKNOWN", 8)) tally.unknown++;
        else { if (!tally.other++) fprintf(stderr, "%.*s", (int)(line_end + 1 - line), line); }
        if (tried < attempts) { id = new_job(came, tried + 1); jobs[id].sent = t; put(&retries, id); }
        else tally.failed++;
      }
      memmove(c->in, c->in + done, c->held -= done);
    }
  }
  return 0;
}
