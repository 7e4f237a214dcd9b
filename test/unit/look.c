/*
 * A look at a tree, by hand:
 *
 *	look cpu|working|resting|younger|holding COMMAND...
 *	look server WORD...
 *
 * The first is the reaper above COMMAND, whose stdin and stdout are its pipes, and says what is to
 * be seen of all below it when that is ready: the ms of CPU that it has used, who is at work, or
 * that nobody is any more, who is younger than its first use, what it holds. The second is such a
 * command, and does what its words say, one behind the other; see words[].
 */
#define _GNU_SOURCE
#include "../../src/tree/look.h"

#include "../../src/base/clock.h"
#include "../../src/base/fd.h"
#include "../../src/tree/program.h"
#include "../../src/tree/tree.h"

#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	SPIN = 300,       /* ms of CPU */
	PATIENCE = 20000, /* ms */
	TICK = 10,        /* ms, of the times at which processes start */
	NETLINK = 0,      /* NETLINK_ROUTE; not every libc has linux/netlink.h */
};

static int check(int result, const char *what)
{
	if (result < 0)
		err(1, "%s", what);
	return result;
}

/* Where the reaper listens. */
static struct sockaddr_in tcp = {.sin_family = AF_INET};
static const struct sockaddr_un local = {.sun_family = AF_UNIX, .sun_path = "reaper"};

static int bound(const void *address, socklen_t size)
{
	const struct sockaddr *a = address;
	int fd = check(socket(a->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");

	check(bind(fd, a, size), "bind");
	check(listen(fd, 1), "listen");
	return fd;
}

static void connect_to(const void *address, socklen_t size)
{
	const struct sockaddr *a = address;

	check(connect(check(socket(a->sa_family, SOCK_STREAM, 0), "socket"), a, size), "connect");
}

/* The server. */

static void listen_tcp(void)
{
	struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

	bound(&any, sizeof any);
}

static void listen_unix(void)
{
	static const struct sockaddr_un own = {.sun_family = AF_UNIX, .sun_path = "server"};

	bound(&own, sizeof own);
}

static void connect_tcp(void)
{
	tcp.sin_port = htons((uint16_t)atoi(getenv("LOOK_PORT")));
	tcp.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	connect_to(&tcp, sizeof tcp);
}

static void connect_unix(void)
{
	connect_to(&local, sizeof local);
}

static void open_udp(void)
{
	check(socket(AF_INET, SOCK_DGRAM, 0), "socket");
}

static void open_netlink(void)
{
	check(socket(AF_NETLINK, SOCK_RAW, NETLINK), "socket");
}

static void make_pair(void)
{
	int ends[2];

	check(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), "socketpair");
}

static void lose_peer(void)
{
	int ends[2];

	check(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), "socketpair");
	close(ends[0]);
}

/* What the reaper has the other end of. */
static void take_stderr(void)
{
	int fd = check(socket(AF_UNIX, SOCK_STREAM, 0), "socket");

	check(connect(fd, (const struct sockaddr *)&local, sizeof local), "connect");
	check(dup2(fd, STDERR_FILENO), "dup2");
	close(fd);
}

static int lock_file(void)
{
	return check(open("lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600), "lock");
}

static void lock_whole(void)
{
	check(flock(lock_file(), LOCK_EX), "flock");
}

static void lock_record(int command)
{
	struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

	check(fcntl(lock_file(), command, &whole), "fcntl");
}

static void lock_posix(void)
{
	lock_record(F_SETLK);
}

static void lock_ofd(void)
{
	lock_record(F_OFD_SETLK);
}

static void lease(void)
{
	check(fcntl(lock_file(), F_SETLEASE, F_WRLCK), "lease");
}

static void open_file(void)
{
	lock_file();
}

static void spin(void)
{
	struct timespec t;

	do
		clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	while (t.tv_sec * 1000 + t.tv_nsec / 1000000 < SPIN);
}

static void wait_for_ever(void)
{
	for (;;)
		pause();
}

/* A child that has its name from its first moment on. */
static pid_t fork_helper(void)
{
	char own[16];

	prctl(PR_GET_NAME, own);
	prctl(PR_SET_NAME, "helper");
	pid_t child = check(fork(), "fork");
	if (child)
		prctl(PR_SET_NAME, own);
	return child;
}

static void start_child(void)
{
	if (fork_helper() == 0)
		wait_for_ever();
}

static void start_daemon(void)
{
	pid_t child = check(fork(), "fork");

	if (child == 0) {
		setsid();
		start_child();
		_exit(0);
	}
	check(waitpid(child, NULL, 0), "waitpid");
}

static void leave_zombie(void)
{
	siginfo_t dead;
	pid_t child = check(fork(), "fork");

	if (child == 0)
		_exit(0);
	check(waitid(P_PID, (id_t)child, &dead, WEXITED | WNOWAIT), "waitid");
}

static void spin_in_child(void)
{
	pid_t child = check(fork(), "fork");

	if (child == 0) {
		spin();
		_exit(0);
	}
	check(waitpid(child, NULL, 0), "waitpid");
}

static void *wait_in_thread(void *arg)
{
	wait_for_ever();
	return arg;
}

/* A child whose first thread has exited, and another has not: a zombie with threads. */
static void start_headless(void)
{
	char path[64], state = 0;
	pthread_t thread;
	pid_t child = fork_helper();

	if (child == 0) {
		if (pthread_create(&thread, NULL, wait_in_thread, NULL) != 0)
			_exit(1);
		pthread_exit(NULL);
	}
	snprintf(path, sizeof path, "/proc/%d/stat", (int)child);
	while (state != 'Z') {
		FILE *f = fopen(path, "re");
		if (!f || fscanf(f, "%*d (%*[^)]) %c", &state) != 1)
			errx(1, "headless");
		fclose(f);
		usleep(1000);
	}
}

static void *spin_in_thread(void *arg)
{
	for (;;)
		;
	return arg;
}

static void start_spinner(void)
{
	if (fork_helper() == 0)
		spin_in_thread(NULL);
}

static void start_spinning_thread(void)
{
	pthread_t thread;

	if (fork_helper() != 0)
		return;
	if (pthread_create(&thread, NULL, spin_in_thread, NULL) != 0)
		_exit(1);
	wait_for_ever();
}

/* As for a disk: the state is the same. */
static void start_vfork(void)
{
	if (fork_helper() != 0)
		return;
	if (vfork() == 0)
		wait_for_ever();
	_exit(1);
}

static void take_null(void)
{
	check(dup2(check(open("/dev/null", O_RDONLY), "/dev/null"), STDIN_FILENO), "dup2");
}

static void hide(void)
{
	check(prctl(PR_SET_DUMPABLE, 0), "dumpable");
}

static int asked; /* our stdin, whatever that is by then */

/* What the reaper is told, and waits for. */
static void tell(char what)
{
	check((int)write(STDOUT_FILENO, &what, 1), "write");
	check((int)read(asked, &what, 1), "read");
}

static void say_used(void)
{
	tell('u');
}

static void say_mustered(void)
{
	tell('m');
}

static const struct {
	const char *name;
	void (*do_it)(void);
} words[] = {
	{"listen-tcp", listen_tcp},
	{"listen-unix", listen_unix},
	{"connect-tcp", connect_tcp}, /* to the reaper */
	{"connect-unix", connect_unix},
	{"udp", open_udp},
	{"netlink", open_netlink},
	{"pair", make_pair},
	{"half-pair", lose_peer},
	{"stderr", take_stderr}, /* is a socket */
	{"flock", lock_whole},
	{"posix", lock_posix},
	{"ofd", lock_ofd},
	{"lease", lease},
	{"file", open_file}, /* without a lock */
	{"spin", spin},
	{"spin-child", spin_in_child}, /* which is dead when it has done */
	{"spinner", start_spinner},    /* a child that does so for ever */
	{"spinning-thread", start_spinning_thread},
	{"vfork", start_vfork}, /* a child that waits for one, and a processor cannot help it */
	{"child", start_child},
	{"daemon", start_daemon}, /* in a session of its own, its parent dead */
	{"zombie", leave_zombie},
	{"headless", start_headless},
	{"null", take_null}, /* is stdin */
	{"hide", hide},      /* what is ours in /proc */
	{"use", say_used},
	{"muster", say_mustered},
};

static void do_word(const char *name)
{
	for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
		if (strcmp(words[i].name, name) == 0) {
			words[i].do_it();
			return;
		}
	}
	errx(1, "%s: no such word", name);
}

static int serve(char **word)
{
	/* Above what can be a lock's or a socket's only by its number. */
	asked = check(fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 10), "dup");
	signal(SIGPIPE, SIG_DFL);
	for (; *word; word++)
		do_word(*word);
	tell('r');
	return 0;
}

/* The reaper. */

static int to_server, from_server;

static void start_server(char **command)
{
	int in[2], out[2];

	check(pipe2(in, O_CLOEXEC), "pipe");
	check(pipe2(out, O_CLOEXEC), "pipe");
	if (check(fork(), "fork") == 0) {
		check(dup2(in[0], STDIN_FILENO), "dup2");
		check(dup2(out[1], STDOUT_FILENO), "dup2");
		execvp(*command, command);
		err(1, "%s", *command);
	}
	close(in[0]);
	close(out[1]);
	to_server = in[1];
	from_server = out[0];
}

/* What starts from now on does not start in the tick in which anything has started so far. */
static void pass_tick(void)
{
	for (int64_t end = now() + 2 * TICK; now() < end;)
		usleep(1000);
}

static void listen_for_server(int *by_tcp, int *by_unix)
{
	socklen_t size = sizeof tcp;
	char port[8];

	unlink(local.sun_path);
	tcp.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	*by_tcp = bound(&tcp, sizeof tcp);
	*by_unix = bound(&local, sizeof local);
	check(getsockname(*by_tcp, (struct sockaddr *)&tcp, &size), "getsockname");
	snprintf(port, sizeof port, "%d", ntohs(tcp.sin_port));
	setenv("LOOK_PORT", port, 1);
	/* Nobody need be there. */
	fcntl(*by_tcp, F_SETFL, O_NONBLOCK);
	fcntl(*by_unix, F_SETFL, O_NONBLOCK);
}

static void end_all(void)
{
	do {
		kill_children();
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
		usleep(1000);
	} while (waitpid(-1, NULL, WNOHANG) >= 0 || errno != ECHILD);
}

int main(int argc, char **argv)
{
	struct crew crew = {.n = 0};
	char what, name[64] = "";
	int by_tcp, by_unix;
	int64_t since = 0;

	if (argc > 2 && strcmp(argv[1], "server") == 0)
		return serve(argv + 2);
	if (argc < 3)
		errx(2,
		     "usage: look cpu|working|resting|younger|holding COMMAND... | server WORD...");
	check(prctl(PR_SET_CHILD_SUBREAPER, 1), "subreaper");
	begin_walks();
	listen_for_server(&by_tcp, &by_unix);
	int64_t before = cpu_below(getpid());
	start_server(argv + 2);
	while (check((int)read(from_server, &what, 1), "read") == 1 && what != 'r') {
		if (what == 'm') {
			muster(getpid(), &crew);
		} else {
			pass_tick();
			since = since_boot();
		}
		check((int)write(to_server, "\n", 1), "write");
	}
	accept(by_tcp, NULL, NULL);
	accept(by_unix, NULL, NULL);
	struct server_pipes pipes = {inode_of(to_server), inode_of(from_server)};
	if (what != 'r') {
		puts("failed");
	} else if (strcmp(argv[1], "cpu") == 0) {
		printf("%lld\n", (long long)(cpu_below(getpid()) - before));
	} else if (strcmp(argv[1], "working") == 0 || strcmp(argv[1], "resting") == 0) {
		/* What has been started may still be on its way to where it rests, or works. */
		const char *awaited = *argv[1] == 'w' ? "helper" : "";
		int64_t end = now() + PATIENCE;
		do
			at_work_below(getpid(), name, sizeof name);
		while (strcmp(name, awaited) != 0 && now() < end && usleep(1000) == 0);
		puts(*name ? name : "none");
	} else if (strcmp(argv[1], "younger") == 0) {
		pid_t pid = younger_than(getpid(), since, &crew, pipes, 0, name, sizeof name);
		puts(pid ? name : "none");
	} else {
		note_program(getpid(), pipes.input, pipes.output);
		const char *held = holding(getpid(), pipes);
		puts(held ? held : "nothing");
	}
	end_all();
	return 0;
}
