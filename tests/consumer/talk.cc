// SPDX-License-Identifier: MIT
//
// talk.c as C++: descriptors that close themselves, a group on the stack of a task, a context value.

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <noria/noria.h>
#include <string>
#include <sys/socket.h>
#include <unistd.h>

namespace
{

NORIA_KEY_STATIC(question_key, const std::string *);

class Pair
{
      public:
	Pair()
	{
		failed_ = socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds_) < 0 ? -errno : 0;
	}
	~Pair()
	{
		if (failed_)
			return;
		close(fds_[0]);
		close(fds_[1]);
	}
	Pair(const Pair &) = delete;
	Pair &operator=(const Pair &) = delete;
	int error() const
	{
		return failed_;
	}
	int &operator[](int side)
	{
		return fds_[side];
	}

      private:
	int fds_[2];
	int failed_;
};

int answer(void *arg)
{
	int fd = *static_cast<int *>(arg);
	std::array<char, 64> buffer;

	for (;;) {
		ssize_t n = noria_recv(fd, buffer.data(), buffer.size(), 0);
		if (n <= 0)
			return static_cast<int>(n);
		noria_try(noria_send_all(fd, buffer.data(), static_cast<size_t>(n), 0));
	}
}

int ask(int fd)
{
	const std::string &question = *noria_value_get(&question_key);
	std::string reply(question.size(), '\0');

	noria_try(noria_send_all(fd, question.data(), question.size(), 0));
	ssize_t n = noria_within(noria_sec(5), noria_recv_all(fd, &reply[0], reply.size(), 0));
	if (n < 0)
		return static_cast<int>(n);
	return reply == question ? 0 : -EPROTO;
}

int talk(void *)
{
	const std::string question = "what turns, and is turned by what it lifts?";
	Pair pair;
	noria_group group;

	if (pair.error())
		return pair.error();
	noria_try(noria_group_open(&group));
	int result = noria_spawn(&group, answer, &pair[1]);
	if (result == 0)
		result = noria_with_value(&question_key, &question, ask(pair[0]));
	shutdown(pair[0], SHUT_WR);
	return noria_group_close(&group, result);
}

} // namespace

int main()
{
	noria_config config = {};
	int result = noria_run(&config, talk, nullptr);

	if (result == -ENOSYS || result == -EPERM) {
		std::printf("skip: kernel lacks io_uring: %s\n", noria_message());
		return 77;
	}
	if (result < 0) {
		std::fprintf(stderr, "talk: %s: %s\n", std::strerror(-result), noria_message());
		return 1;
	}
	std::puts(noria_version());
}
