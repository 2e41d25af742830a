/* SPDX-License-Identifier: MIT */
/*
 * Reading of option values. The rule for messages: name the command and the option, quote what was given, and say what
 * would have been right, with an example.
 */
#include "options.h"

#include "command.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool bad_address(const char *command, const char *option, const char *value, const char *why)
{
	fprintf(stderr,
		"noria %s: --%s %s: %s. Give ADDR:PORT, such as 127.0.0.1:8080, [::1]:8080, or :8080 for every "
		"address.\n",
		command, option, value, why);
	return false;
}

/* Part "host:port" or "[host]:port" in two, in place. Returns: the port, NULL where there is none. */
static char *split_port(char *text, char **ret_host)
{
	char *colon = strrchr(text, ':');
	*ret_host = text;
	if (colon == NULL)
		return NULL;
	*colon = '\0';
	if (*text == '[') {
		if (colon[-1] != ']')
			return NULL;
		colon[-1] = '\0';
		++*ret_host;
	} else if (strchr(text, ':')) {
		return NULL; /* an IPv6 address without its brackets */
	}
	return colon + 1;
}

bool option_address(const char *command, const char *option, const char *value, struct address *ret_address)
{
	char text[256], *host;
	if (strlen(value) >= sizeof text)
		return bad_address(command, option, value, "too long");
	strcpy(text, value);
	char *port = split_port(text, &host);
	if (port == NULL || *port == '\0')
		return bad_address(command, option, value, "no port in it");
	/* getaddrinfo() would take 99999 for 34463. */
	if (port[strspn(port, "0123456789")] == '\0' && strtoul(port, NULL, 10) > 65535)
		return bad_address(command, option, value, "a port is a number from 0 to 65535");
	struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE}, *found;
	/* Every address: the IPv6 wildcard takes IPv4 as well, where the machine has IPv6. */
	int error = *host ? getaddrinfo(host, port, &hints, &found) : getaddrinfo("::", port, &hints, &found);
	if (error != 0 && *host == '\0')
		error = getaddrinfo("0.0.0.0", port, &hints, &found);
	if (error != 0)
		return bad_address(command, option, value, gai_strerror(error));
	memcpy(&ret_address->socket, found->ai_addr, found->ai_addrlen);
	ret_address->size = found->ai_addrlen;
	freeaddrinfo(found);
	return true;
}

bool option_seconds(const char *command, const char *option, const char *value, int64_t *ret_ns)
{
	char *end;
	double seconds = strtod(value, &end);
	if (end == value || *end != '\0' || !(seconds >= 0 && seconds <= 1e6)) {
		fprintf(stderr, "noria %s: --%s %s: not a time. Give seconds from 0 to 1000000, such as 30 or 0.5.\n",
			command, option, value);
		return false;
	}
	*ret_ns = (int64_t)(seconds * 1e9);
	return true;
}

bool option_number(const char *command, const char *option, const char *value, bool bytes, uint64_t min, uint64_t max,
		   uint64_t *ret_number)
{
	char *end;
	errno = 0;
	unsigned long long number = strtoull(value, &end, 10), unit = 1;
	bool read = *value >= '0' && *value <= '9' && errno == 0;
	if (read && bytes && (*end == 'K' || *end == 'k' || *end == 'M' || *end == 'm'))
		unit = *end++ == 'K' || end[-1] == 'k' ? 1024 : 1024 * 1024;
	if (!read || *end != '\0' || number > max / unit || number * unit < min) {
		fprintf(stderr, "noria %s: --%s %s: give a whole number from %llu to %llu%s.\n", command, option, value,
			(unsigned long long)min, (unsigned long long)max, bytes ? "; 16K is 16384" : "");
		return false;
	}
	*ret_number = number * unit;
	return true;
}

int option_unknown(const char *command, int answer, const char *argument)
{
	if (answer == ':')
		fprintf(stderr, "noria %s: %s wants a value. `noria %s --help` shows an example.\n", command, argument,
			command);
	else
		fprintf(stderr, "noria %s: unknown option %s. `noria %s --help` lists the options.\n", command,
			argument, command);
	return EXIT_USAGE;
}
