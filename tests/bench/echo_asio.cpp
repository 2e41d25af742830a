/* SPDX-License-Identifier: MIT */
/*
 * The TCP echo server as one who knows Boost.Asio well would write it.
 *
 * One thread, and Asio is told so, hence no locks. Callbacks, whose memory Asio reuses, rather than coroutines, whose
 * frames are allocated. Each connection has its buffer, of which it touches no more than its messages need: Asio may
 * receive for one connection before it has called the other's handler.
 */
#define BOOST_ASIO_DISABLE_THREADS
#include <array> /* which this Asio needs and does not include */

#include <boost/asio.hpp>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <unistd.h>

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

class connection
{
public:
	explicit connection(tcp::socket socket) : socket_(std::move(socket))
	{
		socket_.non_blocking(true);
		socket_.set_option(tcp::no_delay(true));
	}

	/* The operation takes the connection along: its end is the end of the connection. */
	static void read(std::unique_ptr<connection> self)
	{
		connection &c = *self;

		c.socket_.async_receive(asio::buffer(c.buffer_.get(), buffer_size), [self = std::move(self)](error_code error, size_t size) mutable {
			if (!error)
				answer(std::move(self), size);
		});
	}

private:
	static constexpr size_t buffer_size = 1 << 16;

	static void answer(std::unique_ptr<connection> self, size_t size)
	{
		error_code error;
		size_t sent = self->socket_.write_some(asio::buffer(self->buffer_.get(), size), error);

		if (error == asio::error::would_block)
			sent = 0;
		else if (error)
			return;
		if (sent == size)
			read(std::move(self));
		else
			write_rest(std::move(self), sent, size);
	}

	static void write_rest(std::unique_ptr<connection> self, size_t sent, size_t size)
	{
		connection &c = *self;

		asio::async_write(c.socket_, asio::buffer(c.buffer_.get() + sent, size - sent), [self = std::move(self)](error_code error, size_t) mutable {
			if (!error)
				read(std::move(self));
		});
	}

	tcp::socket socket_;
	std::unique_ptr<char[]> buffer_{new char[buffer_size]};
};

static void accept(tcp::acceptor &acceptor)
{
	acceptor.async_accept([&acceptor](error_code error, tcp::socket socket) {
		if (!error)
			connection::read(std::make_unique<connection>(std::move(socket)));
		accept(acceptor);
	});
}

static void on_signal(int)
{
	_exit(0);
}

int main(int argc, char **argv)
{
	const char *colon = argc == 3 ? strrchr(argv[2], ':') : nullptr;

	if (!colon || strcmp(argv[1], "--listen") != 0) {
		fprintf(stderr, "usage: echo_asio --listen ADDRESS:PORT\n");
		return 2;
	}
	signal(SIGTERM, on_signal);
	signal(SIGINT, on_signal);

	asio::io_context context(1);
	const auto address = asio::ip::make_address_v4(std::string(argv[2], static_cast<size_t>(colon - argv[2])));
	tcp::acceptor acceptor(context, tcp::endpoint(address, static_cast<unsigned short>(atoi(colon + 1))));

	printf("listening on %s:%u\n", address.to_string().c_str(), acceptor.local_endpoint().port());
	fflush(stdout);
	accept(acceptor);
	context.run();
}
