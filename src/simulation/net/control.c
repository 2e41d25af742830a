/* SPDX-License-Identifier: MIT */
/* Control data of messages that are received. */
#include "simulation/net/socket.h"

#include <string.h>

struct sim_control sim_control_begin(struct msghdr *message)
{
	return (struct sim_control){.message = message};
}

void sim_control_put(struct sim_control *control, int level, int type, const void *data, size_t size)
{
	struct msghdr *message = control->message;
	struct cmsghdr header = {.cmsg_len = CMSG_LEN(size), .cmsg_level = level, .cmsg_type = type};
	char *place;

	if (!message)
		return;
	if (!message->msg_control || message->msg_controllen - control->used < CMSG_LEN(size)) {
		message->msg_flags |= MSG_CTRUNC;
		return;
	}
	place = (char *)message->msg_control + control->used;
	memcpy(place, &header, sizeof header);
	memcpy(place + CMSG_LEN(0), data, size);
	control->used += CMSG_SPACE(size);
	if (control->used > message->msg_controllen)
		control->used = message->msg_controllen;
}

size_t sim_control_room(const struct sim_control *control, size_t item)
{
	const struct msghdr *message = control->message;

	if (!message || !message->msg_control || message->msg_controllen < control->used + CMSG_LEN(0))
		return 0;
	return (message->msg_controllen - control->used - CMSG_LEN(0)) / item;
}

void sim_control_end(struct sim_control *control)
{
	if (control->message)
		control->message->msg_controllen = control->used;
}
