/* SPDX-License-Identifier: MIT */
/*
 * The `noria` command: finds the subcommand and hands the arguments on. Every subcommand explains itself with --help,
 * answers what it does not know with the remedy, and ends with one of the exit codes in command.h.
 *
 * SIGPIPE is ignored for the whole process: a client that went away, or a closed pipe on standard output, is an error
 * of one call and not the end of the server.
 */
#include "command.h"

#include <noria/noria.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

static const struct command {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *what;
} commands[] = {
	{"serve", cmd_serve, "serve the files of a directory over HTTP/1.1"},
	{"echo", cmd_echo, "send back what comes in over TCP, for benchmarks"},
	{"bench", cmd_bench, "load a server, and tell how fast it answers and how long answers take"},
	{"sim", cmd_sim, "run a program in simulated worlds, from many seeds"},
	{"doctor", cmd_doctor, "say what this machine offers to noria, and what to change"},
};

#define COMMANDS (sizeof commands / sizeof *commands)

static void print_help(FILE *out)
{
	fputs("Usage: noria COMMAND [OPTION]...\n"
	      "\n"
	      "Servers and tools written with noria, a runtime library for io_uring.\n"
	      "\n"
	      "Commands:\n",
	      out);
	for (size_t i = 0; i < COMMANDS; i++)
		fprintf(out, "  %-8s %s\n", commands[i].name, commands[i].what);
	fputs("\n"
	      "Examples:\n"
	      "  noria serve .                      look at this directory on http://127.0.0.1:8080/\n"
	      "  noria serve docs --listen :8000    the same for everyone who can reach this machine\n"
	      "  noria echo --listen 127.0.0.1:0    an echo server on a free port, which it prints\n"
	      "  noria bench tcp://127.0.0.1:7007   how fast is that?\n"
	      "  noria doctor                       when something does not start\n"
	      "\n"
	      "`noria COMMAND --help` teaches one command; `noria --version` prints the version.\n"
	      "\n"
	      "Exit codes: 0 done, 1 failed, 2 wrong arguments, 3 ended before every response was out, 4 a measured\n"
	      "server's answers were no success.\n",
	      out);
}

static const struct command *find_command(const char *name)
{
	for (size_t i = 0; i < COMMANDS; i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	return NULL;
}

static int unknown(const char *name)
{
	fprintf(stderr, "noria: there is no command '%s'. The commands are:", name);
	for (size_t i = 0; i < COMMANDS; i++)
		fprintf(stderr, " %s", commands[i].name);
	fputs(". `noria --help` says what they do.\n", stderr);
	return EXIT_USAGE;
}

int main(int argc, char **argv)
{
	signal(SIGPIPE, SIG_IGN);
	if (argc < 2) {
		print_help(stderr);
		return EXIT_USAGE;
	}
	const char *name = argv[1];
	if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0) {
		printf("noria %s\n", noria_version());
		return EXIT_OK;
	}
	if (strcmp(name, "help") == 0 && argc > 2 && find_command(argv[2]))
		return find_command(argv[2])->run(2, (char *[]){argv[2], (char[]){"--help"}, NULL});
	if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0) {
		print_help(stdout);
		return EXIT_OK;
	}
	const struct command *command = find_command(name);
	return command ? command->run(argc - 1, argv + 1) : unknown(name);
}
